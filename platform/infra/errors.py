"""What this program refuses, before any resource exists wherever it can be known by then."""

from __future__ import annotations

import pulumi


class Refused(pulumi.RunError):
    """Shown to the user as its message alone: a traceback says nothing about a wrong setting."""


class SettingsError(Refused):
    """A wrong value in a stack's configuration; the message names file, key and fix."""


class BadName(Refused, ValueError):
    """A name Azure or Unity Catalog would reject."""


class SharedIncomplete(Refused):
    """Stack `shared` lacks what an environment needs; the message names the fix."""
