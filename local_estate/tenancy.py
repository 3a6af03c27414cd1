"""The documented ids of the local tenant. They are no secrets; the committed stack files name the same ones.

`make cloud-config` replaces them by those of a real tenant; the local service answers for these alone.
"""

TENANT_ID = "7f3c1e9a-0b52-4d1e-9d6a-3c5f0a1b2c3d"
SUBSCRIPTION_ID = "2b8d4c6e-5a17-4f39-8e20-9c1d3e5f7a9b"
ACCOUNT_ID = "c4d5e6f7-1a2b-4c3d-8e9f-0a1b2c3d4e5f"
DEPLOYER_CLIENT_ID = "9e8d7c6b-5a4f-4e3d-8c2b-1a0f9e8d7c6b"
DEPLOYER_OBJECT_ID = "5d4c3b2a-1f0e-4d9c-8b7a-6f5e4d3c2b1a"
DEPLOYER_NAME = "sp-mt-lakehouse-deployer"
# Of the enterprise application AzureDatabricks, as which a Key Vault-backed scope reads its vault.
AZURE_DATABRICKS_OBJECT_ID = "8c7b6a59-4e3d-4f2c-9b1a-0d9e8f7a6b5c"
REGION = "australiaeast"
