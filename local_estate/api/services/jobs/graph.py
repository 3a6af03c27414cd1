"""The task graph of a run: which task may start, which is skipped and why, and what the run's result is. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

RUN_IF = ("ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED")

_SUCCEEDED = frozenset({"SUCCESS", "SUCCESS_WITH_FAILURES"})
_EXCLUDED = frozenset({"EXCLUDED", "DISABLED"})
_CANCELED = frozenset({"CANCELED", "UPSTREAM_CANCELED"})

Verdict = Literal["WAIT", "RUN", "EXCLUDED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED"]
Kind = Literal["succeeded", "failed", "canceled", "excluded"]


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """`outcome` is the branch ("true"/"false") of a condition task that the dependent wants, "" for any."""

    task_key: str
    outcome: str = ""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a task ended: its result_state and, of a condition task, its outcome."""

    result: str
    outcome: str = ""


class BadGraph(Exception):
    """Unknown or repeated keys, or a cycle; the message names them."""


def check(dependencies: Mapping[str, Sequence[Dependency]]) -> None:
    """Raises BadGraph for a dependency on an unknown task or on itself, and for a cycle."""
    for key, needed in dependencies.items():
        for dependency in needed:
            if dependency.task_key not in dependencies:
                raise BadGraph(f"Invalid dependency: task '{key}' depends on '{dependency.task_key}', which does not exist in the job.")
    cycle = find_cycle({key: [dependency.task_key for dependency in needed] for key, needed in dependencies.items()})
    if cycle:
        raise BadGraph(f"Found a cycle in the task dependencies: {' -> '.join(cycle)}.")


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """One cycle as keys, the first repeated at the end; empty without one."""
    finished: set[str] = set()
    for root in needs:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, int]] = [(root, 0)]
        while stack:
            key, position = stack.pop()
            if position == 0:
                if key in finished:
                    continue
                path.append(key)
                on_path.add(key)
            if position < len(needs[key]):
                stack.append((key, position + 1))
                child = needs[key][position]
                if child in on_path:
                    return [*path[path.index(child) :], child]
                if child not in finished:
                    stack.append((child, 0))
            else:
                finished.add(key)
                on_path.discard(key)
                path.remove(key)
    return []


def kind_of(dependency: Dependency, ended: Ended) -> Kind:
    """A branch not taken counts as excluded."""
    if ended.result in _SUCCEEDED:
        return "succeeded" if dependency.outcome in ("", ended.outcome) else "excluded"
    if ended.result in _EXCLUDED:
        return "excluded"
    return "canceled" if ended.result in _CANCELED else "failed"


def verdict(run_if: str, dependencies: Sequence[Dependency], ended: Mapping[str, Ended]) -> Verdict:
    """What becomes of a task, given how the tasks it depends on ended (those missing in `ended` have not)."""
    if any(dependency.task_key not in ended for dependency in dependencies):
        return "WAIT"
    kinds = [kind_of(dependency, ended[dependency.task_key]) for dependency in dependencies]
    if not kinds:
        return "RUN"
    if all(kind == "excluded" for kind in kinds):
        return "EXCLUDED"
    failed, canceled, succeeded = "failed" in kinds, "canceled" in kinds, "succeeded" in kinds
    if run_if in ("AT_LEAST_ONE_FAILED", "ALL_FAILED"):
        if canceled and not failed:
            return "UPSTREAM_CANCELED"
        met = failed if run_if == "AT_LEAST_ONE_FAILED" else all(kind == "failed" for kind in kinds)
        return "RUN" if met else "EXCLUDED"
    met = {
        "ALL_SUCCESS": not failed and not canceled,
        "AT_LEAST_ONE_SUCCESS": succeeded,
        "NONE_FAILED": not failed and not canceled,
        "ALL_DONE": True,
    }[run_if]
    if met:
        return "RUN"
    return "UPSTREAM_FAILED" if failed or not canceled else "UPSTREAM_CANCELED"


def leaves(dependencies: Mapping[str, Sequence[Dependency]]) -> list[str]:
    """The tasks nothing depends on; they decide the run's result."""
    needed = {dependency.task_key for needs in dependencies.values() for dependency in needs}
    return [key for key in dependencies if key not in needed]


def run_result(dependencies: Mapping[str, Sequence[Dependency]], ended: Mapping[str, Ended]) -> str:
    """SUCCESS, SUCCESS_WITH_FAILURES, FAILED or CANCELED, once every task has ended."""
    last = [_coarse(ended[key].result) for key in leaves(dependencies)]
    if "failed" in last:
        return "FAILED"
    if "canceled" in last:
        return "CANCELED"
    failures = any(_coarse(each.result) in ("failed", "canceled") for each in ended.values())
    return "SUCCESS_WITH_FAILURES" if failures else "SUCCESS"


def _coarse(result: str) -> Kind:
    return kind_of(Dependency(task_key=""), Ended(result=result))


def dependents(dependencies: Mapping[str, Sequence[Dependency]], of: Iterable[str]) -> set[str]:
    """Everything downstream of `of`, without `of` itself."""
    start = set(of)
    found: set[str] = set()
    grew = True
    while grew:
        reached = {key for key, needs in dependencies.items() if any(need.task_key in start | found for need in needs)}
        grew = bool(reached - found)
        found |= reached
    return found - start
