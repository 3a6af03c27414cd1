"""What is released: the wheel, the same bytes from the same source."""
