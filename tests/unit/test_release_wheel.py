"""The wheel: the same bytes from the same source, and never one that was not asked for."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from release.wheel import ArtifactError, build, wheel


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    assert build(tmp_path / "one").digest == build(tmp_path / "two").digest


def test_the_wheel_carries_contracts_and_entry_points(tmp_path: Path) -> None:
    made = build(tmp_path)
    with zipfile.ZipFile(made.file) as archive:
        names = archive.namelist()
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "lakehouse/contracts/domains/cmdm/cmdm_bronze.yaml" in names
    assert all(f"{name} = lakehouse.jobs." in entry_points for name in ("migrate", "bronze", "silver", "gold"))


def test_a_digest_finds_the_wheel_that_has_it(tmp_path: Path) -> None:
    made = build(tmp_path)
    assert made.digest == hashlib.sha256(made.file.read_bytes()).hexdigest()
    assert wheel(made.digest, required=True, folder=tmp_path) == made


def test_an_unknown_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="has digest 00.* Fix: download the release's artifact there"):
        wheel("00" * 32, required=False, folder=tmp_path)


def test_a_stack_that_takes_released_wheels_does_not_build_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="this stack deploys released wheels only"):
        wheel("", required=True, folder=tmp_path)
