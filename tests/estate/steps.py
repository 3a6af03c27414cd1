"""What plain `pulumi preview` said step by step, and what `pulumi up` then did."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_estate.engine.environment import environment
from local_estate.engine.stacks import PolicyPack
from local_estate.paths import Paths

# Steps of the engine that touch no object: what is only read, and what another step's replacement brings with it.
_SILENT = frozenset({"same", "read", "refresh", "discard"})
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass(frozen=True)
class Step:
    """One step for one resource: replaced keys, and the kind of each difference by its path."""

    op: str
    keys: frozenset[str] = frozenset()
    differences: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()  # inputs, by top-level name, in which a preview knew something not yet


Steps = dict[str, list[Step]]


class Pulumi:
    """The CLI as a person runs it in the shell of `estate env`, on the program in `project`."""

    def __init__(self, paths: Paths, project: Path, variables: Mapping[str, str]) -> None:
        self._project = project
        self._policies = PolicyPack.of(paths, "dev").directory
        self._environment = {**environment(paths), "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true", "NO_COLOR": "1", **variables}

    def plain(self, *arguments: str) -> str:
        command = ["pulumi", *arguments, "--non-interactive"]
        return subprocess.run(command, cwd=self._project, env=self._environment, capture_output=True, text=True, check=True).stdout

    def outputs(self, stack: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.plain("stack", "output", "--json", "-s", stack))
        return found

    def run(self, verb: str, stack: str, *flags: str) -> Steps:
        """The steps of a run that succeeded; what its diagnostics said otherwise."""
        pack = ["--policy-pack", str(self._policies), "--policy-pack-config", str(self._policies / "config" / f"{stack}.json")]
        done = subprocess.run(
            ["pulumi", verb, "-s", stack, "--json", "--non-interactive", *flags, *(pack if verb in ("up", "preview") else [])],
            cwd=self._project,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        events = list(_events(done.stdout))
        assert done.returncode == 0, [*_errors(events), done.stderr]
        return steps(events)

    def preview(self, stack: str, *flags: str) -> Steps:
        return self.run("preview", stack, *flags)

    def up(self, stack: str, *flags: str) -> Steps:
        return self.run("up", stack, "--yes", "--skip-preview", *flags)


def _events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _errors(events: list[dict[str, Any]]) -> list[str]:
    said = [event.get("diagnosticEvent") or event.get("policyEvent") or {} for event in events]
    return [f"{each.get('urn', '')} {each['message']}" for each in said if each.get("severity") == "error" or "enforcementLevel" in each]


def steps(events: list[dict[str, Any]]) -> Steps:
    """By URN, in the order of the run, without what changes nothing."""
    found: Steps = {}
    for event in events:
        step = (event.get("resourcePreEvent") or {}).get("metadata")
        if not step or step["op"] in _SILENT:
            continue
        inputs = ((step.get("new") or {}).get("inputs")) or {}
        found.setdefault(step["urn"], []).append(
            Step(
                op=step["op"],
                keys=frozenset(step.get("keys") or ()),
                differences={path: str(each["diffKind"]) for path, each in (step.get("detailedDiff") or {}).items()},
                unknown=frozenset(name for name, value in inputs.items() if _UNKNOWN in json.dumps(value)),
            )
        )
    return found


def disagreements(said: Steps, done: Steps) -> list[str]:
    """Where the preview told something else than what was done. An input that it said it did not know may differ."""
    found = []
    for urn in sorted({*said, *done}):
        before, after = said.get(urn, []), done.get(urn, [])
        short = urn.split("::", 2)[2].split("$")[-1]
        if [each.op for each in before] != [each.op for each in after]:
            found.append(f"{short}: said {[each.op for each in before]}, did {[each.op for each in after]}")
            continue
        for told, did in zip(before, after, strict=True):
            if told.keys != did.keys:
                found.append(f"{short}: {told.op} said to replace for {sorted(told.keys)}, did for {sorted(did.keys)}")
            known = {path: kind for path, kind in told.differences.items() if _top(path) not in told.unknown}
            same = {path: kind for path, kind in did.differences.items() if _top(path) not in told.unknown}
            if known != same:
                found.append(f"{short}: {told.op} said {known}, did {same}")
    return found


def _top(path: str) -> str:
    return path.split(".")[0].split("[")[0]


def operations(taken: Steps) -> dict[str, int]:
    """How many resources had which operation; a replacement counts once."""
    count: dict[str, int] = {}
    for each in taken.values():
        ops = {step.op for step in each}
        kind = "replace" if ops & {"replace", "create-replacement", "delete-replaced"} else each[0].op
        count[kind] = count.get(kind, 0) + 1
    return count
