"""Azure: network, private endpoints, storage, vault, workspace, monitoring."""
