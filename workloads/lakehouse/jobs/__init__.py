"""Entry points of the wheel: each parses its parameters, reads, calls a transformation and writes."""
