"""The data product of the MT lakehouse: contracts, bronze, silver, gold and their jobs."""
