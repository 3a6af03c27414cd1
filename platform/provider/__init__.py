"""Our own Pulumi resources, a path plugin: Unity Catalog objects that the published provider does not have, made by SQL."""
