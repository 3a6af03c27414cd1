"""Migrations: SQL files in the order of their numbers, each statement carried out once. Pure; lakehouse.jobs.migrate runs them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from lakehouse.names import Catalogs

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
# Comments, quoted things, ends of statements, anything else.
_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|;|[^;'\"`/-]+|.", re.DOTALL)
_QUOTES = "'\"`"
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


class MigrationError(RuntimeError):
    """A migration is not as migrations are, or not as it was when it ran; the message names the file and the fix."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One file. `statements` are without comments, and still name catalogs by placeholder."""

    file: str
    statements: tuple[str, ...]

    @property
    def number(self) -> int:
        return int(self.file.split("_", 1)[0])


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A statement that was carried out: a row of platform.applied_migrations. `statements` is how many its file had then."""

    migration: str
    position: int
    statements: int
    checksum: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """A statement to carry out, `position` from 1."""

    migration: Migration
    position: int

    @property
    def statement(self) -> str:
        return self.migration.statements[self.position - 1]

    @property
    def record(self) -> Applied:
        return Applied(
            migration=self.migration.file,
            position=self.position,
            statements=len(self.migration.statements),
            checksum=checksum(self.statement),
        )


def packaged() -> tuple[Migration, ...]:
    """The migrations of this wheel. Raises MigrationError, also when the wheel was built without their folder."""
    folder = resources.files("lakehouse") / "migrations"
    if not folder.is_dir():
        raise MigrationError("lakehouse/migrations is not in this wheel. Fix: build it in a checkout that has sql/migrations")
    return read((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir() if entry.name.endswith(".sql"))


def read(files: Iterable[tuple[str, str]]) -> tuple[Migration, ...]:
    """Migrations in order, from name and text of their files. Raises MigrationError."""
    found: dict[int, Migration] = {}
    for file, text in files:
        if not _FILE.fullmatch(file):
            raise MigrationError(f"sql/migrations/{file}: is not named like 0001_what_it_does.sql. Fix: rename it")
        migration = Migration(file=file, statements=tuple(_statements(file, text)))
        if twin := found.get(migration.number):
            raise MigrationError(f"sql/migrations/{file}: {twin.file} has its number. Fix: give the newer one the next free number")
        found[migration.number] = migration
    return tuple(found[number] for number in sorted(found))


def _statements(file: str, text: str) -> Iterator[str]:
    current = ""
    number = 0
    for part in _TOKEN.findall(text):
        if part == ";":
            number += 1
            if not current.strip():
                raise MigrationError(f"sql/migrations/{file}: statement {number} is empty. Fix: delete its semicolon")
            yield current.strip()
            current = ""
        else:
            current += " " if part.startswith(("--", "/*")) else part
    if current.strip():
        raise MigrationError(f"sql/migrations/{file}: its last statement does not end. Fix: put a semicolon behind {_short(current)}")
    if not number:
        raise MigrationError(f"sql/migrations/{file}: holds no statement. Fix: write one, or delete the file")


def resolved(step: Step, catalogs: Catalogs) -> str:
    """The statement with the catalogs of an environment. Braces in quotes are the statement's own. Raises MigrationError."""
    names = {"raw": catalogs.raw, "curated": catalogs.curated, "marts": catalogs.marts, "ai": catalogs.ai}

    def catalog(found: re.Match[str]) -> str:
        if found[1] not in names:
            raise MigrationError(
                f"sql/migrations/{step.migration.file}: statement {step.position} names {found[0]}. "
                f"Fix: use one of {', '.join(f'{{{name}}}' for name in names)}"
            )
        return "`" + names[found[1]].replace("`", "``") + "`"

    tokens = _TOKEN.findall(step.statement)
    return "".join(token if token[0] in _QUOTES else _PLACEHOLDER.sub(catalog, token) for token in tokens)


def checksum(statement: str) -> str:
    """Blanks between words do not count, so that a file may be formatted; within quotes they do."""
    words = [word for token in _TOKEN.findall(statement) for word in ([token] if token[0] in _QUOTES else token.split())]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def outstanding(migrations: Sequence[Migration], applied: Iterable[Applied]) -> list[Step]:
    """What is left to carry out, in order. Raises MigrationError where what has run reads differently now, or a new file comes too early.

    Rows of files that this wheel does not have are left alone: an older release runs on tables that a newer one migrated.
    """
    rows: dict[str, dict[int, Applied]] = {}
    for row in applied:
        rows.setdefault(row.migration, {})[row.position] = row
    done = [int(name.split("_", 1)[0]) for name, found in rows.items() if _is_done(found)]
    steps: list[Step] = []
    for migration in migrations:
        found = rows.get(migration.file, {})
        _unchanged(migration, found)
        if _is_done(found):
            continue
        if not found and any(number > migration.number for number in done):
            raise MigrationError(
                f"sql/migrations/{migration.file}: {max(done):04} has run already. Fix: give it a number from {max(done) + 1:04} up"
            )
        steps += [Step(migration=migration, position=n + 1) for n in range(len(migration.statements)) if n + 1 not in found]
    return steps


def _is_done(rows: dict[int, Applied]) -> bool:
    """All statements that the file had when the last of them ran."""
    return bool(rows) and len(rows) == rows[max(rows)].statements


def _unchanged(migration: Migration, rows: dict[int, Applied]) -> None:
    """Statements that have not run may be mended, as long as the migration is not done."""
    fix = "Fix: restore it as it was, and put the change into a new migration"
    for position, row in sorted(rows.items()):
        if position > len(migration.statements):
            raise MigrationError(f"sql/migrations/{migration.file}: statement {position} has run and is gone. {fix}")
        if checksum(migration.statements[position - 1]) != row.checksum:
            raise MigrationError(f"sql/migrations/{migration.file}: statement {position} has run and reads differently now. {fix}")
    if _is_done(rows) and len(migration.statements) != len(rows):
        raise MigrationError(f"sql/migrations/{migration.file}: was done with {len(rows)} statements and has more now. {fix}")


def _short(text: str) -> str:
    words = " ".join(text.split())
    return repr(words if len(words) <= 60 else words[:57] + "...")
