"""From landing files to bronze tables."""
