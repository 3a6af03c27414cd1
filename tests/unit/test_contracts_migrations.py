"""Migration files: how they are read, what is left of them, and what a wheel is not built from."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.migration import Applied, Migration, MigrationError, Step, checksum, outstanding, packaged, read, resolved
from lakehouse.names import Catalogs
from release.migrations import check
from release.wheel import MIGRATIONS, build

CATALOGS = Catalogs(raw="dev_ep_raw", curated="dev_ep_curated", marts="dev_ep_marts", ai="dev_ep_ai")
WORDS = ("UPDATE {raw}.a.b SET c = 1 WHERE d = 2", "DELETE FROM {marts}.a.b WHERE c = ';'", "DROP TABLE IF EXISTS {ai}.a.b")
migrations = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), min_size=1, max_size=4).map(
    lambda files: tuple(Migration(file=f"{number + 1:04}_m.sql", statements=tuple(made)) for number, made in enumerate(files))
)


def one(text: str) -> Migration:
    (migration,) = read([("0001_m.sql", text)])
    return migration


def left(found: list[Step]) -> list[tuple[str, int]]:
    return [(step.migration.file, step.position) for step in found]


def steps(*files: tuple[str, str]) -> list[Step]:
    return outstanding(read(files), [])


def test_files_are_taken_in_the_order_of_their_numbers() -> None:
    found = read([("0010_b.sql", "SELECT 1;"), ("0002_a.sql", "SELECT 1;")])
    assert [migration.file for migration in found] == ["0002_a.sql", "0010_b.sql"]


def test_semicolons_in_quotes_and_comments_end_nothing() -> None:
    text = "-- one; two\nUPDATE t SET a = 'x;y', b = \"z;\" /* ; */ WHERE `c;d` = 'it\\'s;';\nDELETE FROM t;"
    assert [" ".join(statement.split()) for statement in one(text).statements] == [
        "UPDATE t SET a = 'x;y', b = \"z;\" WHERE `c;d` = 'it\\'s;'",
        "DELETE FROM t",
    ]


def test_catalogs_take_the_place_of_their_names_outside_quotes() -> None:
    step = Step(migration=one("UPDATE {raw}.s.t SET a = '{raw}' WHERE b RLIKE '^[0-9]{4}$';"), position=1)
    assert resolved(step, CATALOGS) == "UPDATE `dev_ep_raw`.s.t SET a = '{raw}' WHERE b RLIKE '^[0-9]{4}$'"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("1_m.sql", "SELECT 1;")], r"1_m\.sql: is not named like 0001_what_it_does\.sql\. Fix: rename it"),
        ([("0001_a.sql", "SELECT 1;"), ("0001_b.sql", "SELECT 1;")], r"0001_b\.sql: 0001_a\.sql has its number\. Fix: give the newer one"),
        ([("0001_a.sql", "SELECT 1; SELECT 2")], r"0001_a\.sql: its last statement does not end\. Fix: put a semicolon behind 'SELECT 2'"),
        ([("0001_a.sql", "SELECT 1;;")], r"0001_a\.sql: statement 2 is empty\. Fix: delete its semicolon"),
        ([("0001_a.sql", "-- nothing")], r"0001_a\.sql: holds no statement\. Fix: write one, or delete the file"),
    ],
)
def test_a_file_that_is_no_migration_is_named_with_its_fix(files: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(MigrationError, match=said):
        read(files)


def test_an_unknown_catalog_is_named_with_the_known_ones() -> None:
    with pytest.raises(MigrationError, match=r"0001_m\.sql: statement 1 names \{gold\}\. Fix: use one of \{raw\}, \{curated\}, \{marts\}"):
        resolved(Step(migration=one("DELETE FROM {gold}.s.t;"), position=1), CATALOGS)


@given(migrations, st.data())
def test_wherever_a_run_stops_the_next_one_carries_out_the_rest_in_order_and_then_nothing(
    files: tuple[Migration, ...], data: st.DataObject
) -> None:
    every = outstanding(files, [])
    assert left(every) == [(m.file, n + 1) for m in files for n in range(len(m.statements))]
    stopped = data.draw(st.integers(0, len(every)))
    assert outstanding(files, [step.record for step in every[:stopped]]) == every[stopped:]


@given(migrations, st.data())
def test_a_statement_that_ran_and_was_changed_is_refused_by_file_and_number(files: tuple[Migration, ...], data: st.DataObject) -> None:
    applied = [step.record for step in outstanding(files, [])]
    position = data.draw(st.integers(0, len(applied) - 1))
    changed = list(applied)
    changed[position] = Applied(**{**vars(applied[position]), "checksum": checksum("SELECT 0")})
    where = f"{applied[position].migration}: statement {applied[position].position} has run and reads differently now"
    with pytest.raises(MigrationError, match=where):
        outstanding(files, changed)


def test_a_migration_that_is_done_gets_no_statement_more_or_less() -> None:
    applied = [step.record for step in steps(("0001_m.sql", "DELETE FROM t; DELETE FROM u;"))]
    with pytest.raises(MigrationError, match=r"0001_m\.sql: was done with 2 statements and has more now"):
        outstanding(read([("0001_m.sql", "DELETE FROM t; DELETE FROM u; DELETE FROM v;")]), applied)
    with pytest.raises(MigrationError, match=r"0001_m\.sql: statement 2 has run and is gone"):
        outstanding(read([("0001_m.sql", "DELETE FROM t;")]), applied)


def test_a_new_file_before_one_that_has_run_is_refused_with_the_next_number() -> None:
    applied = [step.record for step in steps(("0005_m.sql", "DELETE FROM t;"))]
    with pytest.raises(MigrationError, match=r"0003_n\.sql: 0005 has run already\. Fix: give it a number from 0006 up"):
        outstanding(read([("0003_n.sql", "DELETE FROM t;"), ("0005_m.sql", "DELETE FROM t;")]), applied)


def test_an_older_release_runs_on_tables_that_a_newer_one_migrated() -> None:
    applied = [step.record for step in steps(("0001_m.sql", "DELETE FROM t;"), ("0002_n.sql", "DELETE FROM t;"))]
    assert outstanding(read([("0001_m.sql", "DELETE FROM t;")]), applied) == []


def test_comments_and_blanks_may_change_afterwards_and_quoted_blanks_may_not() -> None:
    before = one("DELETE FROM t WHERE a = 'x y';").statements[0]
    assert checksum(before) == checksum(one("-- why\nDELETE  FROM t\n  WHERE a = 'x y' /* all */;").statements[0])
    assert checksum(before) != checksum(one("DELETE FROM t WHERE a = 'x  y';").statements[0])


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDAT {raw}.s.t SET a = 1", "statement 1 does not parse"),
        ("INSERT INTO {raw}.s.t VALUES (1)", "statement 1 may not run twice: INSERT INTO .*Fix: use one of UPDATE, DELETE, MERGE"),
        ("CREATE TABLE {raw}.s.t (a INT)", "statement 1 may not run twice"),
        ("DROP TABLE {raw}.s.t", "statement 1 may not run twice"),
        ("ALTER TABLE {raw}.s.t ADD COLUMNS (a INT)", "statement 1 may not run twice"),
        ("ALTER TABLE {raw}.s.t RENAME COLUMN a TO b", "statement 1 may not run twice"),
        ("DELETE FROM s.t WHERE a = 1", r"statement 1 names s\.t without a catalog\. Fix: write \{raw\}"),
        ("DELETE FROM {gold}.s.t WHERE a = 1", r"statement 1 names \{gold\}"),
    ],
)
def test_a_wheel_is_not_built_from_sql_that_breaks_the_rules(tmp_path: Path, statement: str, said: str) -> None:
    (tmp_path / "0001_m.sql").write_text(f"{statement};\n")
    with pytest.raises(MigrationError, match=rf"^sql/migrations/0001_m\.sql: {said}"):
        check(tmp_path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {raw}.s.t SET a = 1 WHERE b = 2",
        "DELETE FROM {raw}.s.t WHERE a = 1",
        "MERGE INTO {raw}.s.t t USING (WITH n AS (SELECT 1 AS a) SELECT * FROM n) s ON t.a = s.a WHEN NOT MATCHED THEN INSERT *",
        "CREATE OR REPLACE VIEW {marts}.s.v AS SELECT a FROM {raw}.s.t",
        "CREATE TABLE IF NOT EXISTS {raw}.s.t (a INT)",
        "DROP VIEW IF EXISTS {curated}.s.v",
        "ALTER TABLE {raw}.s.t SET TBLPROPERTIES ('delta.appendOnly' = 'true')",
        "ALTER TABLE {ai}.s.t ALTER COLUMN a TYPE BIGINT",
    ],
)
def test_statements_that_may_run_twice_are_carried(tmp_path: Path, statement: str) -> None:
    (tmp_path / "0001_m.sql").write_text(f"{statement};\n")
    assert check(tmp_path) == 1


def test_the_wheel_carries_the_migrations_of_the_repository(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path).file) as archive:
        carried = {name.rsplit("/", 1)[-1] for name in archive.namelist() if name.startswith("lakehouse/migrations/")}
        released = [name for name in archive.namelist() if "released" in name or "schema.json" in name]
    assert carried == {file.name for file in MIGRATIONS.iterdir()}
    assert "README.md" in carried
    assert released == []
    assert [migration.file for migration in packaged()] == sorted(file.name for file in MIGRATIONS.glob("*.sql"))
