"""The service: Azure Resource Manager, Databricks account and workspace APIs on loopback ports."""
