"""What `make bench` measures. A benchmark, not a test: it fails on errors alone, never on a figure."""
