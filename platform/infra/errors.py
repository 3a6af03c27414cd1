"""What this program refuses before any resource exists."""

from __future__ import annotations


class SettingsError(Exception):
    """A wrong value in a stack's configuration; the message names file, key and fix."""


class BadName(ValueError):
    """A name Azure or Unity Catalog would reject."""
