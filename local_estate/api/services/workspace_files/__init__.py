"""Workspace files and notebooks: import, export, list."""
