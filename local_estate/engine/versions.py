"""Which versions of the CLI and of Go will do."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version

Version = tuple[int, int, int]

GO_MINIMUM: Version = (1, 25, 11)


def sdk_version() -> str:
    """The pinned Pulumi SDK; the CLI we build or install has the same version."""
    return installed_version("pulumi")


def parse(text: str) -> Version | None:
    """`v3.259.0`, `go1.26.8`, `3.259.0-alpha.1` → numbers; None for none (a CLI built without a version prints an empty line)."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def cli_will_do(cli: str, sdk: str) -> bool:
    """The same major, and not older than the SDK: an older engine lacks calls the SDK makes."""
    have, want = parse(cli), parse(sdk)
    if have is None or want is None:
        return False
    prerelease_of_wanted = have == want and "-" in cli
    return have[0] == want[0] and have >= want and not prerelease_of_wanted


def go_will_do(text: str) -> bool:
    found = parse(text)
    return found is not None and found >= GO_MINIMUM
