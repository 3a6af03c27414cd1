"""What a row must satisfy, and where rows go that do not."""
