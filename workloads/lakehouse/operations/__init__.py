"""What is done to tables by hand: deriving days again, comparing versions."""
