"""Unity Catalog: metastores and everything governed in them, with privileges enforced for the caller."""
