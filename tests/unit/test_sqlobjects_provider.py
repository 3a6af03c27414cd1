"""The provider of SQL functions where it needs no workspace: addresses, statements, Check, Diff, previews."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from databricks.sdk.service.catalog import FunctionInfo, FunctionParameterInfo, FunctionParameterInfos
from pulumi.runtime.proto import provider_pb2

from local_estate.providers.wire import UNKNOWN, encode
from provider.connection import ADDRESSES, Refused, address
from provider.functions import described, mistake_in_name, mistake_in_statement
from tests.api.providers_engine import CheckFailed, Engine
from tests.api.sqlobjects_process import FUNCTION, plugin

NAME = "dev_ep_raw.governance.f"
STATEMENT = "CREATE OR REPLACE FUNCTION `dev_ep_raw`.governance.f(x STRING) RETURNS STRING RETURN x"


def test_a_workspace_is_reached_by_its_name_unless_a_file_says_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ADDRESSES, raising=False)
    assert (
        address("adb-1.2.azuredatabricks.net") == address("https://adb-1.2.azuredatabricks.net/") == "https://adb-1.2.azuredatabricks.net"
    )
    file = tmp_path / "addresses.json"
    file.write_text(json.dumps({"workspaces": {"adb-1.2.azuredatabricks.net": {"url": "https://10.0.0.4:8443"}}}))
    monkeypatch.setenv(ADDRESSES, str(file))
    assert address("https://adb-1.2.azuredatabricks.net") == "https://10.0.0.4:8443"
    with pytest.raises(Refused, match=rf"{ADDRESSES}=\S+ has no address of adb-9\. Fix: add it, or unset the variable"):
        address("adb-9")
    file.write_text("{")
    with pytest.raises(Refused, match=r"cannot be read: .+ Fix: correct or unset the variable"):
        address("adb-1.2.azuredatabricks.net")


def test_names_and_statements_say_what_is_wrong_with_them() -> None:
    assert mistake_in_name(NAME) == mistake_in_statement(STATEMENT, NAME) == ""
    assert mistake_in_name("governance.f") == "'governance.f' is not catalog.schema.function in lower case"
    assert mistake_in_statement(STATEMENT, "dev_ep_raw.governance.g") == f"makes {NAME}, not dev_ep_raw.governance.g"
    for other in ("CREATE FUNCTION a.b.f() RETURNS INT RETURN 1", "DROP TABLE a.b.f", ""):
        assert mistake_in_statement(other, NAME) == "must begin with CREATE OR REPLACE FUNCTION catalog.schema.function("


def test_what_a_workspace_has_is_told_as_a_statement() -> None:
    given = [FunctionParameterInfo(name=name, type_text="string", position=n, type_name=None) for n, name in ((1, "b"), (0, "a"))]  # type: ignore[arg-type]
    function = FunctionInfo(
        full_name=NAME, input_params=FunctionParameterInfos(given), full_data_type="string", comment="it's", routine_definition=" a || b "
    )
    text = f"CREATE OR REPLACE FUNCTION {NAME}(a STRING, b STRING)\nRETURNS STRING\nCOMMENT 'it\\'s'\nRETURN a || b"
    assert described(function) == text
    assert mistake_in_statement(text, NAME) == ""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with plugin({}) as started:
        yield started


def test_check_names_every_mistake(engine: Engine) -> None:
    def failures(**inputs: str) -> dict[str, str]:
        with pytest.raises(CheckFailed) as failed:
            engine.check(FUNCTION, "f", inputs)
        return failed.value.failures

    assert failures(fullName=NAME) == {"statement": "is missing"}
    assert failures(fullName=NAME, statement=STATEMENT, body="x") == {"body": "is no input; there are fullName, statement"}
    assert failures(fullName="F", statement=STATEMENT) == {"fullName": "'F' is not catalog.schema.function in lower case"}
    assert failures(fullName=NAME, statement="SELECT 1") == {
        "statement": "must begin with CREATE OR REPLACE FUNCTION catalog.schema.function("
    }
    with pytest.raises(CheckFailed) as unknown:
        engine.check("sqlobjects:index:SqlView", "v", {"fullName": NAME, "statement": STATEMENT})
    assert unknown.value.failures == {"": "sqlobjects:index:SqlView is no type of this provider"}


def test_settings_are_checked_before_anything_is_asked(engine: Engine) -> None:
    with pytest.raises(CheckFailed) as failed:
        engine.configure(host="adb-1.2.azuredatabricks.net", token="secret")
    assert failed.value.failures == {"token": "is no setting of this provider", "warehouseId": "is missing"}


def test_a_preview_asks_nobody(engine: Engine) -> None:
    engine.configure(host="adb-no-such-workspace.azuredatabricks.net", warehouseId="w")
    outputs = engine.preview(FUNCTION, "f", fullName=NAME, statement=STATEMENT)
    assert (outputs["fullName"], outputs["statement"], outputs["observed"]) == (NAME, STATEMENT, UNKNOWN)
    assert engine.preview(FUNCTION, "f", fullName=NAME, statement=UNKNOWN)["statement"] is UNKNOWN


def test_a_body_changes_in_place_and_a_name_makes_another(engine: Engine) -> None:
    def diff(name: str, statement: str) -> provider_pb2.DiffResponse:
        olds = {"fullName": NAME, "statement": STATEMENT, "observed": "…"}
        return engine.stub.Diff(
            provider_pb2.DiffRequest(
                urn=engine.urn(FUNCTION, "f"), olds=encode(olds), news=encode({"fullName": name, "statement": statement})
            )
        )

    same = diff(NAME, STATEMENT)
    assert (same.changes, list(same.replaces)) == (provider_pb2.DiffResponse.DIFF_NONE, [])
    other = diff(NAME, STATEMENT.replace("RETURN x", "RETURN 'y'"))
    assert (list(other.diffs), list(other.replaces)) == (["statement"], [])
    renamed = diff("dev_ep_raw.governance.g", STATEMENT.replace(".f(", ".g("))
    assert (list(renamed.diffs), list(renamed.replaces), renamed.deleteBeforeReplace) == (["fullName", "statement"], ["fullName"], False)


def test_a_refusal_is_said_without_a_traceback(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "addresses.json"
    file.write_text('{"workspaces": {}}')
    with plugin({ADDRESSES: str(file)}) as other:
        other.configure(host="adb-1.2.azuredatabricks.net", warehouseId="w")
        with pytest.raises(grpc.RpcError) as refused:
            other.up(FUNCTION, "f", fullName=NAME, statement=STATEMENT)
    assert refused.value.details() == (
        f"function {NAME}: {ADDRESSES}={file} has no address of adb-1.2.azuredatabricks.net. Fix: add it, or unset the variable"
    )
