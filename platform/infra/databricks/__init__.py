"""Databricks: identity, Unity Catalog, compute, work."""
