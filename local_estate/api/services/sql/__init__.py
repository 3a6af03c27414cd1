"""SQL warehouses and statement execution. Every warehouse runs on the one warm Spark of the data plane."""
