"""From bronze to typed, valid, deduplicated tables."""
