"""Values on their way through the Pulumi protocol, and how changes are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_estate.paths import Paths
from local_estate.providers import wire
from local_estate.providers.changes import LiveInputs, differences, in_no_order, normalised
from local_estate.providers.creations import Creations
from local_estate.providers.databricks.names import camel, snake
from local_estate.providers.failures import ServiceError, grpc_code
from local_estate.providers.schemas import TypeSchema
from local_estate.providers.wire import UNKNOWN, Secret

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3) | inner.map(Secret),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_what_goes_in_comes_out_with_integers_secrets_and_unknowns(given_values: dict[str, Any]) -> None:
    assert wire.decode(wire.encode(given_values)) == given_values


def test_a_secret_never_shows_in_its_own_representation() -> None:
    assert "hunter2" not in repr({"password": Secret("hunter2")})


def test_secrets_come_out_at_the_depth_they_went_in() -> None:
    inputs = {"properties": {"value": Secret("s"), "kind": "k"}, "list": [{"a": Secret(1)}, {"b": 2}]}
    outputs = {"properties": {"value": "s", "kind": "k", "id": "i"}, "list": [{"a": 1}, {"b": 2}]}
    marked = wire.like_secrets_of(outputs, inputs)
    assert marked == {"properties": {"value": Secret("s"), "kind": "k", "id": "i"}, "list": [{"a": Secret(1)}, {"b": 2}]}


def test_a_list_that_changed_length_is_sealed_as_a_whole() -> None:
    assert wire.like_secrets_of({"list": [1, 2]}, {"list": [Secret(1)]}) == {"list": Secret([1, 2])}


def test_a_set_of_objects_compares_equal_in_any_order_of_its_elements_and_of_their_names() -> None:
    assigner = {"role": "assigner", "principals": ["servicePrincipals/9"]}
    manager = {"role": "manager", "principals": ["groups/a"]}
    one, other = [assigner, manager], [dict(reversed(manager.items())), dict(reversed(assigner.items()))]
    for way in (one, other, [one[0], other[0]], [other[1], one[1]]):
        assert list(differences(in_no_order(one), in_no_order(way))) == []
    unknown = [manager, {**assigner, "principals": UNKNOWN}]
    assert dict(differences(in_no_order(one), in_no_order(unknown))) == {"[0]": "DELETE", "[1]": "ADD"}


def test_what_left_and_what_came_into_a_set_is_told_where_it_was_written() -> None:
    """Only at that index does the engine find the value that it shows."""
    a, b, c = ({"principal": name, "privileges": in_no_order(["USE", "SELECT"])} for name in "abc")
    assert dict(differences(in_no_order([a, b, c]), in_no_order([c, b]))) == {"[0]": "DELETE"}
    assert dict(differences(in_no_order([c, b]), in_no_order([b, a, c]))) == {"[1]": "ADD"}
    assert dict(differences(in_no_order([c, a]), in_no_order([b, c]))) == {"[0]": "ADD", "[1]": "DELETE"}
    assert dict(differences(in_no_order([a, c]), in_no_order([b, c]))) == {"[0].principal": "UPDATE"}
    fewer = {**a, "privileges": in_no_order(["SELECT"])}
    assert dict(differences(in_no_order([c, a]), in_no_order([c, fewer]))) == {"[1].privileges[0]": "DELETE"}


def test_differences_are_named_by_path_and_an_unknown_is_one() -> None:
    old = {"a": {"b": [1, {"c": 2}]}, "tags": {"x.y": "1"}, "gone": 1, "flag": True}
    new = {"a": {"b": [1, {"c": 3}, 4]}, "tags": {"x.y": "2"}, "new": UNKNOWN, "flag": 1}
    assert dict(differences(old, new)) == {
        "a.b[1].c": "UPDATE",
        "a.b[2]": "ADD",
        'tags["x.y"]': "UPDATE",
        "gone": "DELETE",
        "new": "ADD",
        "flag": "UPDATE",
    }
    assert dict(differences({"id": "1"}, {"id": UNKNOWN})) == {"id": "UPDATE"}


def test_absent_and_null_are_the_same_and_whole_floats_are_integers() -> None:
    assert normalised({"a": None, "b": -1.0}) == {"b": -1}


SCHEMA = TypeSchema(
    token="t",
    inputs={"tags": {"type": "map", "values": {"type": "string"}}, "name": {"type": "string"}, "owner": {"type": "string"}},
    required=(),
    outputs={name: {"type": "any"} for name in ("tags", "name", "owner", "id")},
    secret_inputs=frozenset(),
    secret_outputs=frozenset(),
    replace_on_changes=frozenset(),
    definitions={},
    shapes={},
)


def test_inputs_follow_the_object_only_where_it_moved() -> None:
    live = LiveInputs(SCHEMA, lambda _, value: value, frozenset({"owner"}))
    recorded: dict[str, Any] = {"name": "n", "forceDestroy": True}
    before: dict[str, Any] = {"name": "n", "owner": "a", "tags": {}}
    assert live.after(recorded, before, {"name": "n", "owner": "b", "tags": {}}) == recorded
    assert live.after(recorded, before, {"name": "n", "owner": "a", "tags": {"x": "1"}}) == {**recorded, "tags": {"x": "1"}}
    assert live.after(recorded, before, {"name": "m", "owner": "a", "tags": {}}) == {**recorded, "name": "m"}


@pytest.mark.parametrize(
    ("name", "api"),
    [
        ("dependsOns", "depends_on"),
        ("sparkEnvVars", "spark_env_vars"),
        ("accessControls", "access_control_list"),
        ("onFailures", "on_failure"),
    ],
)
def test_names_cross_between_the_sdk_and_the_api(name: str, api: str) -> None:
    assert snake(name) == api and camel(api) == name


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"),
        (409, "StorageAccountAlreadyTaken", "FAILED_PRECONDITION"),
        (400, "NetcfgInvalidSubnet", "INVALID_ARGUMENT"),
        (403, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        (500, "INTERNAL_ERROR", "ABORTED"),
        (501, "NOT_IMPLEMENTED", "FAILED_PRECONDITION"),
    ],
)
def test_a_service_error_never_looks_like_an_unknown_state_or_a_dead_plugin(status: int, code: str, expected: str) -> None:
    assert grpc_code(ServiceError(status, code, "x")) == expected


def test_a_record_of_a_creation_lives_until_the_engine_knows_the_object(tmp_path: Path) -> None:
    creations = Creations(Paths(repository=tmp_path, tools=tmp_path, home=tmp_path / "home"))
    creations.begin("urn:a", "job", {"1"})
    creations.known("urn:a")  # nothing made yet: the record is the only trace of what may be there
    found = creations.of("urn:a")
    assert found is not None and found.before == {"1"} and found.identifier == ""
    creations.made("urn:a", "2")
    creations.known("urn:a", "1")  # an older object of the same resource says nothing of this one
    assert creations.of("urn:a") is not None
    creations.known("urn:a", "2")
    assert creations.of("urn:a") is None
