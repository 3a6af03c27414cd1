"""Seeded faults: each small, each caught by the test that is named beside it."""
