"""Holds sql/migrations to its rules before a wheel carries them: SQL that Databricks parses, statements that may run twice."""

from __future__ import annotations

from pathlib import Path

import sqlglot
from sqlglot import exp

from lakehouse.migration import MigrationError, Step, read, resolved
from lakehouse.names import Catalogs

# Names that no environment has, so that a table without a placeholder is told from one with.
_CATALOGS = Catalogs(raw="catalog_raw", curated="catalog_curated", marts="catalog_marts", ai="catalog_ai")
_ALLOWED = "UPDATE, DELETE, MERGE, CREATE … IF NOT EXISTS or OR REPLACE, DROP … IF EXISTS, ALTER of properties and types"


def check(folder: Path) -> int:
    """How many migrations there are. Raises MigrationError with file, statement and fix."""
    migrations = read((file.name, file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.sql")))
    for migration in migrations:
        for position in range(1, len(migration.statements) + 1):
            step = Step(migration=migration, position=position)
            _check(resolved(step, _CATALOGS), f"sql/migrations/{migration.file}: statement {position}")
    return len(migrations)


def _check(statement: str, where: str) -> None:
    try:
        parsed = sqlglot.parse_one(statement, dialect="databricks")
    except sqlglot.errors.SqlglotError as error:
        raise MigrationError(f"{where} does not parse: {' '.join(str(error).split())}. Fix: correct the SQL") from error
    if not _repeatable(parsed):
        raise MigrationError(f"{where} may not run twice: {parsed.sql('databricks')[:80]}. Fix: use one of {_ALLOWED}")
    views = {alias.alias for alias in parsed.find_all(exp.CTE)}
    for table in parsed.find_all(exp.Table):
        if not table.catalog.startswith("catalog_") and table.name not in views:
            name = ".".join(part for part in (table.catalog, table.db, table.name) if part)
            raise MigrationError(f"{where} names {name} without a catalog. Fix: write {{raw}}, {{curated}}, {{marts}} or {{ai}} before it")


def _repeatable(parsed: exp.Expr) -> bool:
    """Columns come from contracts, so an ALTER that adds or renames one has no place here; nor has an INSERT, which MERGE replaces."""
    if isinstance(parsed, exp.Create):
        return bool(parsed.args.get("exists") or parsed.args.get("replace"))
    if isinstance(parsed, exp.Drop):
        return bool(parsed.args.get("exists"))
    if isinstance(parsed, exp.Alter):
        return all(isinstance(action, exp.AlterColumn | exp.AlterSet) for action in parsed.args.get("actions") or [None])
    return isinstance(parsed, exp.Update | exp.Delete | exp.Merge)
