"""Upkeep of the Delta tables."""
