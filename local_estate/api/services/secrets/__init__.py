"""Secret scopes: Databricks-backed (encrypted at rest) and Key Vault-backed (read through)."""
