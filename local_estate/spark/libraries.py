"""Installs a task's wheels into a directory of its own."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement


class InstallFailed(Exception):
    """A library is missing or broken; the message names it."""


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def install_wheels(wheels: Sequence[Path], target: Path) -> Path:
    """`target` with the contents of all wheels. Dependencies must be in the environment. Raises InstallFailed."""
    target.mkdir(parents=True, exist_ok=True)
    metadata = [_unpack(wheel, target) for wheel in wheels]
    provided = {normalised(wheel.name.split("-")[0]) for wheel in wheels}
    for wheel, lines in zip(wheels, metadata, strict=True):
        wanted = [line.removeprefix("Requires-Dist:").strip() for line in lines if line.startswith("Requires-Dist:")]
        _check([text for text in wanted if normalised(re.split(r"[^A-Za-z0-9._-]", text)[0]) not in provided], f"{wheel.name} needs")
    return target


def check_requirements(requirements: Sequence[str]) -> None:
    """PyPI libraries of a task are not downloaded: the environment must have them already. Raises InstallFailed."""
    _check(requirements, "the task needs")


def _check(requirements: Sequence[str], who: str) -> None:
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise InstallFailed(f"{who} {text!r}, which is no requirement: {error}") from None
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            raise InstallFailed(f"{who} {text}, which the local environment lacks; add it to requirements/root.in") from None
        if not requirement.specifier.contains(found, prereleases=True):
            raise InstallFailed(f"{who} {text}, but the local environment has {found}; change requirements/root.in")


def _unpack(wheel: Path, target: Path) -> list[str]:
    """The wheel's METADATA lines, once every file matched RECORD."""
    if not wheel.exists():
        raise InstallFailed(f"Library installation failed: {wheel.name} does not exist")
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            record = next((name for name in names if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)), None)
            if record is None:
                raise InstallFailed(f"Library installation failed: {wheel.name} has no RECORD; it is not a wheel")
            expected = {row[0]: row[1] for row in csv.reader(io.StringIO(archive.read(record).decode())) if row}
            for name in names:
                content = archive.read(name)
                if name != record:
                    _verify(wheel, name, content, expected.get(name))
                destination = target / _placed(wheel, name)
                destination.parent.mkdir(parents=True, exist_ok=True)
                destination.write_bytes(content)
            return archive.read(record.replace("RECORD", "METADATA")).decode().splitlines()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise InstallFailed(f"Library installation failed: {wheel.name} is not a readable wheel ({error})") from None


def _verify(wheel: Path, name: str, content: bytes, expected: str | None) -> None:
    if name.endswith((".jws", ".p7s")):
        return
    algorithm, _, digest = (expected or "").partition("=")
    if algorithm not in {"sha256", "sha384", "sha512"}:
        raise InstallFailed(f"Library installation failed: {wheel.name} does not record a hash of {name}")
    actual = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode()
    if actual != digest:
        raise InstallFailed(f"Library installation failed: {name} in {wheel.name} is not what its RECORD says")


def _placed(wheel: Path, name: str) -> str:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts:
        raise InstallFailed(f"Library installation failed: {wheel.name} contains the path {name}")
    # pkg-1.0.data/purelib/… lands beside the package itself
    return "/".join(parts[2:]) if parts[0].endswith(".data") and len(parts) > 2 and parts[1] in {"purelib", "platlib"} else name
