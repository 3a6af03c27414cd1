"""abfss URLs as values: normalised, comparable by prefix, and found again from a local directory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.errors import ApiError

_FORM = re.compile(
    r"abfss://([a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])|\$[a-z]+)@([a-z0-9]{3,24})\.dfs\.core\.windows\.net(/.*)?", re.IGNORECASE | re.DOTALL
)


def segments(path: str) -> tuple[str, ...]:
    """Of a path, without empty ones and `.`. Raises ApiError INVALID_PARAMETER_VALUE for `..` and characters no file name has."""
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts or "\\" in path or any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise ApiError(
            "INVALID_PARAMETER_VALUE", f"Path {path!r} is not allowed: it must be absolute, without '..', backslash or control characters."
        )
    return parts


@dataclass(frozen=True)
class StorageUrl:
    """`abfss://container@account.dfs.core.windows.net/a/b`; account and container in lower case, the path as it is."""

    container: str
    account: str
    parts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: Any) -> StorageUrl:
        """Raises ApiError INVALID_PARAMETER_VALUE for anything that is no ADLS Gen2 URL."""
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ApiError(
                "INVALID_PARAMETER_VALUE",
                f"'{text}' is not a valid storage URL. Use abfss://<container>@<storage account>.dfs.core.windows.net/<path>.",
            )
        return cls(found[1].lower(), found[2].lower(), segments(found[3] or ""))

    @classmethod
    def of_local(cls, estate: Estate, directory: str) -> StorageUrl | None:
        """The URL whose bytes lie at that local path; None outside the estate's storage accounts."""
        root = estate.paths.adls.resolve()
        local = Path("/", *segments(directory)).resolve()
        if not local.is_relative_to(root):
            return None
        account, container, *rest = (*local.relative_to(root).parts, "", "")
        return cls(container, account, tuple(part for part in rest if part)) if container else None

    @property
    def text(self) -> str:
        return "/".join((f"abfss://{self.container}@{self.account}.dfs.core.windows.net", *self.parts))

    def __truediv__(self, more: str) -> StorageUrl:
        return StorageUrl(self.container, self.account, self.parts + segments(more))

    def upwards(self) -> Iterator[StorageUrl]:
        """Itself, then each directory above it, up to the container."""
        for depth in range(len(self.parts), -1, -1):
            yield StorageUrl(self.container, self.account, self.parts[:depth])

    def contains(self, other: StorageUrl) -> bool:
        """Whether `other` is this directory or lies below it."""
        return (self.container, self.account) == (other.container, other.account) and other.parts[: len(self.parts)] == self.parts

    def local(self, estate: Estate) -> Path:
        """Where its bytes lie. Raises ApiError 404 when the account or the container does not exist."""
        container = StorageUrl(self.container, self.account)
        root = Path(estate.ask("arm.storage_container", url=container.text + "/"))
        path = root.joinpath(*self.parts)
        # A symbolic link under the container must not lead out of it.
        if not path.resolve().is_relative_to(root.resolve()):
            raise ApiError("PERMISSION_DENIED", f"Path {self.text} leads out of its container.")
        return path
