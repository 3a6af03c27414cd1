"""`make mutants`: puts each seeded fault of `mutants.toml` into a copy of the checkout, and expects the test named beside it to fail.

A fault that its test lets through is a hole in the suite; so is one whose text the code no longer has. Every test is run on the unchanged
copy first: one that fails there proves nothing. By hand, not in CI: the list takes about as long as the layers its tests are from.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_estate.paths import REPOSITORY, Paths

LIST = Path(__file__).with_name("mutants.toml")
PAGE = REPOSITORY / "docs" / "mutants.md"
RESULTS = REPOSITORY / "build" / "mutants.json"
_SECONDS = 900  # a test that hangs on a fault has noticed it


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`old` stands exactly once in `file` and becomes `new`; `test` is the pytest id that notices."""

    name: str
    file: str
    old: str
    new: str
    test: str

    @property
    def room(self) -> str:
        return self.file.split("/")[0]


def load(file: Path = LIST) -> list[Mutant]:
    """By their names, which say what is broken. Raises tomllib.TOMLDecodeError, for two of one name too."""
    return [Mutant(name=name, **fields) for name, fields in tomllib.loads(file.read_text()).items()]


def misplaced(mutants: Iterable[Mutant], root: Path = REPOSITORY) -> list[str]:
    """What is wrong with the list itself: a text that the code does not have exactly once, a test that is in no file."""
    wrong = []
    for each in mutants:
        file, test = root / each.file, root / each.test.partition("::")[0]
        count = file.read_text().count(each.old) if file.is_file() else 0
        if count != 1:
            wrong.append(f"{each.name}: {each.file} has its text {count} times, not once. Fix: take the text as the code has it now")
        function = each.test.rpartition("::")[2].partition("[")[0]
        if not test.is_file() or f"def {function}(" not in test.read_text():
            wrong.append(f"{each.name}: there is no test {each.test}. Fix: name the test that notices the fault now")
        if each.old == each.new:
            wrong.append(f"{each.name}: changes nothing")
    return wrong


@contextmanager
def copy_of_the_checkout() -> Iterator[Path]:
    """What git knows of it, as it is on the disk, with this checkout's environments."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = Path(folder)
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPOSITORY, capture_output=True, check=True)
        for name in listed.stdout.decode().split("\0"):
            if name and (REPOSITORY / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, root / name)
        (root / ".venv").symlink_to(REPOSITORY / ".venv")
        if (REPOSITORY / "policies" / ".venv").exists():
            (root / "policies" / ".venv").symlink_to(REPOSITORY / "policies" / ".venv")
        yield root


def passes(root: Path, test: str) -> bool:
    """Whether the test passes there. Raises RuntimeError where pytest could not run it at all."""
    environment = {
        **os.environ,
        "ESTATE_TOOLS": str(Paths.from_environment().tools),
        "PYTHONPATH": os.pathsep.join(str(root / part) for part in (".", "platform", "policies", "workloads")),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run {test} (exit code {done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
    return done.returncode == 0


def run(mutants: list[Mutant]) -> list[dict[str, str | float]]:
    """One row a fault: `caught`, `survived` or `unusable` (its test fails without it)."""
    rows: list[dict[str, str | float]] = []
    with copy_of_the_checkout() as root:
        sound: dict[str, bool] = {}
        for each in mutants:
            started = time.monotonic()
            if each.test not in sound:
                sound[each.test] = passes(root, each.test)
            result = "unusable"
            if sound[each.test]:
                file = root / each.file
                text = file.read_text()
                file.write_text(text.replace(each.old, each.new))
                try:
                    result = "survived" if passes(root, each.test) else "caught"
                finally:
                    file.write_text(text)
            seconds = time.monotonic() - started
            rows.append({"name": each.name, "room": each.room, "test": each.test, "result": result, "seconds": seconds})
            print(f"{result:9} {seconds:6.1f} s  {each.name}", flush=True)
    return rows


def page(mutants: list[Mutant]) -> str:
    lines = [
        "# Seeded faults",
        "",
        "`make mutants` puts each of these faults into a copy of the checkout and runs the test beside it, which must fail.",
        "By hand, not in CI. The list is `tests/mutants/mutants.toml`; `make mutants ARGS=--page` writes this page; a unit test holds both",
        "to the code.",
        "",
        "| fault | where | caught by |",
        "|---|---|---|",
        *(f"| {each.name} | `{each.file}` | `{each.test}` |" for each in mutants),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name, file or test has one of these words")
    parser.add_argument("--list", action="store_true", help="name them and run nothing")
    parser.add_argument("--page", action="store_true", help="write docs/mutants.md and run nothing")
    arguments = parser.parse_args()
    mutants = load()
    if arguments.page:
        PAGE.write_text(page(mutants))
        return 0
    words = arguments.words
    chosen = [each for each in mutants if not words or any(word in f"{each.name} {each.file} {each.test}" for word in words)]
    if not chosen:
        parser.error(f"no fault has {' or '.join(words)} in its name, file or test")
    if arguments.list:
        print("\n".join(f"{each.name}: {each.file}, {each.test}" for each in chosen))
        return 0
    if wrong := misplaced(chosen):
        print("\n".join(wrong))
        return 1
    rows = run(chosen)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1))
    missed = [row for row in rows if row["result"] != "caught"]
    print(
        f"{len(rows) - len(missed)} of {len(rows)} seeded faults caught" + "".join(f"\n  {row['result']}: {row['name']}" for row in missed)
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
