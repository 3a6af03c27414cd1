"""A day of data through a deployed stack: land the source files, start the exported jobs in order, say what happened."""
