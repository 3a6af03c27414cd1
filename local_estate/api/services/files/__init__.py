"""Files in Unity Catalog volumes: the Files API and what is left of DBFS."""
