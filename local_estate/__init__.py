"""The local estate: Azure and Databricks, as far as this platform uses them, executed on one machine."""
