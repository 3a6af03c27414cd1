"""Declarative pipelines: settings, updates that really run, and the event log."""
