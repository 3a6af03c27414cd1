"""Knowledge documents for retrieval."""
