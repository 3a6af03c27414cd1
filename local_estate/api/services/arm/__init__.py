"""Azure Resource Manager for the types this platform uses, with the rules Azure would refuse by, and the Key Vault data plane."""
