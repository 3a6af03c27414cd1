"""The task graph: run_if, outcomes, leaves, cycles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_estate.api.services.jobs.graph import RUN_IF, BadGraph, Dependency, Ended, check, dependents, leaves, run_result, verdict

RESULTS = (
    "SUCCESS",
    "SUCCESS_WITH_FAILURES",
    "FAILED",
    "TIMEDOUT",
    "CANCELED",
    "EXCLUDED",
    "UPSTREAM_FAILED",
    "UPSTREAM_CANCELED",
    "DISABLED",
)


def on(*keys: str) -> list[Dependency]:
    return [Dependency(task_key=key) for key in keys]


def decide(run_if: str, *results: str) -> str:
    keys = [f"t{index}" for index in range(len(results))]
    return verdict(run_if, on(*keys), {key: Ended(result=result) for key, result in zip(keys, results, strict=True)})


@pytest.mark.parametrize(
    ("run_if", "results", "expected"),
    [
        ("ALL_SUCCESS", ("SUCCESS", "SUCCESS"), "RUN"),
        ("ALL_SUCCESS", ("SUCCESS", "FAILED"), "UPSTREAM_FAILED"),
        ("ALL_SUCCESS", ("SUCCESS", "EXCLUDED"), "RUN"),
        ("ALL_SUCCESS", ("SUCCESS", "CANCELED"), "UPSTREAM_CANCELED"),
        ("ALL_SUCCESS", ("FAILED", "CANCELED"), "UPSTREAM_FAILED"),
        ("AT_LEAST_ONE_SUCCESS", ("SUCCESS", "FAILED"), "RUN"),
        ("AT_LEAST_ONE_SUCCESS", ("FAILED", "FAILED"), "UPSTREAM_FAILED"),
        ("AT_LEAST_ONE_SUCCESS", ("FAILED", "EXCLUDED"), "UPSTREAM_FAILED"),
        ("NONE_FAILED", ("SUCCESS", "EXCLUDED"), "RUN"),
        ("NONE_FAILED", ("SUCCESS", "TIMEDOUT"), "UPSTREAM_FAILED"),
        ("ALL_DONE", ("FAILED", "CANCELED"), "RUN"),
        ("ALL_DONE", ("EXCLUDED", "EXCLUDED"), "EXCLUDED"),
        ("AT_LEAST_ONE_FAILED", ("SUCCESS", "FAILED"), "RUN"),
        ("AT_LEAST_ONE_FAILED", ("SUCCESS", "SUCCESS"), "EXCLUDED"),
        ("AT_LEAST_ONE_FAILED", ("SUCCESS", "CANCELED"), "UPSTREAM_CANCELED"),
        ("ALL_FAILED", ("FAILED", "UPSTREAM_FAILED"), "RUN"),
        ("ALL_FAILED", ("FAILED", "SUCCESS"), "EXCLUDED"),
        ("ALL_FAILED", ("FAILED", "EXCLUDED"), "EXCLUDED"),
    ],
)
def test_run_if_decides_over_how_the_dependencies_ended(run_if: str, results: tuple[str, ...], expected: str) -> None:
    assert decide(run_if, *results) == expected


@pytest.mark.parametrize("run_if", RUN_IF)
def test_a_task_waits_until_every_dependency_has_ended(run_if: str) -> None:
    assert verdict(run_if, on("a", "b"), {"a": Ended(result="FAILED")}) == "WAIT"


@pytest.mark.parametrize("run_if", RUN_IF)
def test_a_task_without_dependencies_runs(run_if: str) -> None:
    assert verdict(run_if, [], {}) == "RUN"


@pytest.mark.parametrize("run_if", RUN_IF)
def test_when_all_dependencies_are_excluded_so_is_the_task(run_if: str) -> None:
    assert decide(run_if, "EXCLUDED", "DISABLED") == "EXCLUDED"


def test_the_branch_not_taken_is_excluded() -> None:
    ended = {"check": Ended(result="SUCCESS", outcome="false")}
    assert verdict("ALL_SUCCESS", [Dependency(task_key="check", outcome="false")], ended) == "RUN"
    assert verdict("ALL_SUCCESS", [Dependency(task_key="check", outcome="true")], ended) == "EXCLUDED"


def test_an_unknown_dependency_is_named() -> None:
    with pytest.raises(BadGraph, match="task 'b' depends on 'nothing', which does not exist"):
        check({"b": on("nothing")})


def test_a_cycle_is_shown() -> None:
    with pytest.raises(BadGraph, match="a -> b -> a"):
        check({"a": on("b"), "b": on("a")})
    with pytest.raises(BadGraph, match="self -> self"):
        check({"self": on("self")})


def test_a_diamond_is_no_cycle() -> None:
    check({"a": [], "b": on("a"), "c": on("a"), "d": on("b", "c")})


@given(st.integers(2, 30), st.randoms())
def test_a_graph_whose_edges_go_backwards_never_has_a_cycle(size: int, random: object) -> None:
    pick = random.randrange  # type: ignore[attr-defined]
    check({f"t{n}": on(*{f"t{pick(n)}" for _ in range(pick(3))}) if n else [] for n in range(size)})


def test_leaves_are_what_nothing_depends_on() -> None:
    assert leaves({"a": [], "b": on("a"), "c": []}) == ["b", "c"]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({"a": "SUCCESS", "b": "SUCCESS"}, "SUCCESS"),
        ({"a": "FAILED", "b": "SUCCESS"}, "SUCCESS_WITH_FAILURES"),
        ({"a": "SUCCESS", "b": "EXCLUDED"}, "SUCCESS"),
        ({"a": "FAILED", "b": "UPSTREAM_FAILED"}, "FAILED"),
        ({"a": "SUCCESS", "b": "TIMEDOUT"}, "FAILED"),
        ({"a": "CANCELED", "b": "UPSTREAM_CANCELED"}, "CANCELED"),
    ],
)
def test_leaves_decide_the_result_of_the_run(results: dict[str, str], expected: str) -> None:
    assert run_result({"a": [], "b": on("a")}, {key: Ended(result=result) for key, result in results.items()}) == expected


@given(st.sampled_from(RUN_IF), st.lists(st.sampled_from(RESULTS), min_size=1, max_size=5))
def test_every_combination_has_a_verdict(run_if: str, results: list[str]) -> None:
    assert decide(run_if, *results) in ("RUN", "EXCLUDED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED")


def test_dependents_are_everything_downstream() -> None:
    graph = {"a": [], "b": on("a"), "c": on("b"), "d": []}
    assert dependents(graph, ["a"]) == {"b", "c"}
    assert dependents(graph, ["c", "d"]) == set()
