"""SQL functions by our own provider on a real warehouse: made, left alone, mended after a change by hand, replaced, imported, dropped."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from databricks.sdk.errors import NotFound

from tests.api.providers_engine import Engine
from tests.api.sqlobjects_process import FUNCTION, plugin
from tests.api.test_sql_statements import execute
from tests.api.workspace_world import World, make_world

NAME = "c.s.hide"
STATEMENT = (
    "CREATE OR REPLACE FUNCTION c.s.hide(value STRING) RETURNS STRING COMMENT 'hides' RETURN CASE WHEN value IS NOT NULL THEN '***' END"
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


@pytest.fixture(scope="module")
def warehouse(world: World) -> str:
    return world.admin.warehouses.create(name="main", cluster_size="2X-Small", max_num_clusters=1).result().id or ""


@pytest.fixture(scope="module")
def engine(world: World, warehouse: str) -> Iterator[Engine]:
    variables = {
        "DATABRICKS_WORKSPACE_ADDRESSES": str(world.estate.paths.endpoints),
        "DATABRICKS_AUTH_TYPE": "oauth-m2m",
        "DATABRICKS_CLIENT_ID": world.name("admin"),
        "DATABRICKS_CLIENT_SECRET": world.estate.deployer_secret,
    }
    host = next(name for name, entry in world.estate.endpoints["workspaces"].items() if entry["url"] == world.url)
    with plugin(variables) as started:
        resource_id = world.estate.endpoints["workspaces"][host]["resource_id"]
        started.configure(host=host, azureWorkspaceResourceId=resource_id, warehouseId=warehouse)
        yield started


def _values(world: World, warehouse: str, expression: str) -> list[list[str]]:
    answer = execute(world.admin, warehouse, f"SELECT {expression}")
    assert answer.result is not None, answer.status
    return answer.result.data_array or []


def test_a_functions_life(engine: Engine, world: World, warehouse: str) -> None:
    assert engine.up(FUNCTION, "hide", fullName=NAME, statement=STATEMENT) == "create"
    assert engine.id("hide") == NAME
    assert _values(world, warehouse, "c.s.hide('x'), c.s.hide(NULL)") == [["***", None]]
    assert engine.refresh("hide") == []
    assert engine.up(FUNCTION, "hide", fullName=NAME, statement=STATEMENT) == "same"

    shorter = STATEMENT.replace("'***'", "'*'")
    assert engine.up(FUNCTION, "hide", fullName=NAME, statement=shorter) == "update"
    assert _values(world, warehouse, "c.s.hide('x')") == [["*"]]

    execute(world.admin, warehouse, "CREATE OR REPLACE FUNCTION c.s.hide(value STRING) RETURNS STRING RETURN value")
    assert engine.refresh("hide") == ["statement"]
    assert "RETURN value" in engine["hide"]["statement"]
    assert engine.up(FUNCTION, "hide", fullName=NAME, statement=shorter) == "update"
    assert _values(world, warehouse, "c.s.hide('x')") == [["*"]]
    assert engine.refresh("hide") == []

    other = shorter.replace("c.s.hide", "c.s.hide_more")
    assert engine.up(FUNCTION, "hide", fullName="c.s.hide_more", statement=other) == "replace"
    with pytest.raises(NotFound):
        world.admin.functions.get(NAME)
    world.admin.functions.delete("c.s.hide_more")
    assert engine.refresh("hide") == ["(gone)"]


def test_one_that_an_interrupted_run_left_behind_becomes_the_programs(engine: Engine, world: World, warehouse: str) -> None:
    execute(world.admin, warehouse, "CREATE FUNCTION c.s.left_behind(value STRING) RETURNS STRING RETURN value")
    statement = STATEMENT.replace("c.s.hide", "c.s.left_behind")
    assert engine.up(FUNCTION, "left", fullName="c.s.left_behind", statement=statement) == "create"
    assert _values(world, warehouse, "c.s.left_behind('x')") == [["***"]]
    engine.destroy("left")
    with pytest.raises(NotFound):
        world.admin.functions.get("c.s.left_behind")


def test_one_that_exists_is_imported_as_the_workspace_spells_it(engine: Engine, world: World, warehouse: str) -> None:
    execute(world.admin, warehouse, "CREATE FUNCTION c.s.found(value STRING, n INT) RETURNS STRING COMMENT 'left' RETURN left(value, n)")
    imported = engine.import_(FUNCTION, "found", "c.s.found")
    assert imported is not None
    assert imported.inputs["statement"] == (
        "CREATE OR REPLACE FUNCTION c.s.found(value STRING, n INT)\nRETURNS STRING\nCOMMENT 'left'\nRETURN left(value, n)"
    )
    assert engine.import_(FUNCTION, "absent", "c.s.absent") is None
    engine.destroy("found")


def test_what_the_warehouse_refuses_is_said_in_its_words_and_the_secret_is_nowhere(engine: Engine, world: World) -> None:
    wrong = "CREATE OR REPLACE FUNCTION c.s.wrong(value STRING) RETURNS STRING RETURN no_such_column"
    with pytest.raises(grpc.RpcError) as refused:
        engine.up(FUNCTION, "wrong", fullName="c.s.wrong", statement=wrong)
    details = str(refused.value.details())
    assert details.startswith("function c.s.wrong: warehouse ")
    assert "no_such_column" in details
    assert world.estate.deployer_secret not in details + engine.stored()
    assert "wrong" not in engine.state
