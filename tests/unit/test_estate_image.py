"""The image of a deployed estate belongs to exactly the content it was made from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.estate import image


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("platform/program.py", "docs/page.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("as committed\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_what_is_not_committed_yet_makes_another_image(checkout: Path) -> None:
    committed = image.digest(checkout)
    (checkout / "platform" / "program.py").write_text("changed\n")
    changed = image.digest(checkout)
    (checkout / "platform" / "added.py").write_text("new\n")
    added = image.digest(checkout)
    (checkout / "platform" / "added.py").unlink()
    (checkout / "platform" / "program.py").unlink()
    assert len({committed, changed, added, image.digest(checkout)}) == 4


def test_what_an_estate_is_not_made_from_makes_no_other_image(checkout: Path) -> None:
    committed = image.digest(checkout)
    (checkout / "docs" / "page.md").write_text("changed\n")
    (checkout / "platform" / "program.pyc").write_text("compiled\n")
    assert image.digest(checkout) == committed


def test_the_image_before_the_last_is_kept_and_older_ones_go(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("oldest", "before", "now")]
    for age, folder in enumerate(folders):
        folder.mkdir()
        os.utime(folder, (age, age))
    (tmp_path / "making-x").mkdir()
    image.prune(tmp_path, keep=folders[-1])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["before", "making-x", "now"]
