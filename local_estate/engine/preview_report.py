"""What a preview says, as one value: made from the engine's events alone, with secrets hidden before anything is kept.

`PreviewReader` takes the events one by one; `report()` is what a table shows and `as_json()` prints (docs/preview.md lists its fields).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from local_estate.engine.events import COLOUR, EventReader
from local_estate.engine.property_changes import PropertyChange, between, changes_of

Verdict = Literal["denied", "advice", "not run"]
Result = Literal["no changes", "changes", "unexpected changes", "denied", "failed"]

# The order in which they are shown: what is lost first.
OPERATIONS = ("delete", "replace", "update", "create", "import")
_NOT_SHOWN = ("same", "read", "refresh")
_STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class PreviewStep:
    """One resource and what `up` would do with it. `replace_keys` are the properties that force a replacement."""

    urn: str
    type: str
    op: str
    replace_keys: tuple[str, ...] = ()
    detailed_diff: tuple[PropertyChange, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[-1]


@dataclass(frozen=True, kw_only=True)
class PolicyFinding:
    """`not run` means that the policy met a value unknown before `up`, so nobody has judged the resource."""

    policy: str
    pack: str
    verdict: Verdict
    urn: str
    message: str


@dataclass(frozen=True, kw_only=True)
class PreviewReport:
    """`changed_outside` (with a refresh) is what differs from the state already, before the program asks for anything."""

    stack: str
    steps: tuple[PreviewStep, ...] = ()
    changed_outside: tuple[PreviewStep, ...] = ()
    outputs: tuple[PropertyChange, ...] = ()
    policies: tuple[PolicyFinding, ...] = ()
    unchanged: int = 0
    errors: tuple[str, ...] = ()
    fix: str = ""
    seconds: float = 0.0
    changes_expected: bool = True

    @property
    def counts(self) -> dict[str, int]:
        """Resources by operation, those that stay as `same`; every operation that was met and the four usual ones."""
        met = Counter(step.op for step in self.steps)
        return {name: met[name] for name in ("create", "update", "replace", "delete")} | dict(met) | {"same": self.unchanged}

    def verdicts(self, verdict: Verdict) -> tuple[PolicyFinding, ...]:
        return tuple(each for each in self.policies if each.verdict == verdict)

    @property
    def result(self) -> Result:
        if self.verdicts("denied") or (self.verdicts("not run") and not self.errors):
            return "denied"
        if self.errors:
            return "failed"
        if not self.steps:
            return "no changes"
        return "changes" if self.changes_expected else "unexpected changes"

    @property
    def exit_code(self) -> int:
        """0, or why not: 1 failed, 3 a policy denies or could not run, 4 changes though none were expected (2 is a wrong command line)."""
        return {"no changes": 0, "changes": 0, "failed": 1, "denied": 3, "unexpected changes": 4}[self.result]

    def as_json(self) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "result": self.result,
            "counts": self.counts,
            "steps": [_step_json(each) for each in self.steps],
            "changed_outside": [_step_json(each) for each in self.changed_outside],
            "outputs": [asdict(each) for each in self.outputs],
            "policies": [asdict(each) for each in self.policies],
            "errors": list(self.errors),
            "fix": self.fix,
            "seconds": round(self.seconds, 1),
        }


def _step_json(step: PreviewStep) -> dict[str, Any]:
    return {
        "urn": step.urn,
        "type": step.type,
        "name": step.name,
        "op": step.op,
        "replace_keys": list(step.replace_keys),
        "detailed_diff": [asdict(change) for change in step.detailed_diff],
    }


@dataclass
class PreviewReader(EventReader):
    """Keeps what the report needs, besides what every reader keeps. Policies are told in the report, not while the engine runs."""

    steps: dict[str, PreviewStep] = field(default_factory=dict)
    outside: dict[str, PreviewStep] = field(default_factory=dict)
    outputs: tuple[PropertyChange, ...] = ()
    policies: list[PolicyFinding] = field(default_factory=list)
    unchanged: set[str] = field(default_factory=set)
    _refreshing: set[str] = field(default_factory=set)

    def line(self, event: Mapping[str, Any]) -> str | None:
        said = super().line(event)
        if "resourcePreEvent" in event:
            self._before(event["resourcePreEvent"]["metadata"])
        elif "resOutputsEvent" in event:
            self._after(event["resOutputsEvent"]["metadata"])
        elif "policyEvent" in event:
            self._judged(event["policyEvent"])
            return None
        return said

    def report(
        self, stack: str, seconds: float, *, errors: tuple[str, ...] = (), fix: str = "", changes_expected: bool = True
    ) -> PreviewReport:
        order = {name: place for place, name in enumerate(OPERATIONS)}
        return PreviewReport(
            stack=stack,
            steps=tuple(sorted(self.steps.values(), key=lambda step: (order.get(step.op, len(order)), step.type, step.name))),
            changed_outside=tuple(sorted(self.outside.values(), key=lambda step: (step.type, step.name))),
            outputs=self.outputs,
            policies=tuple(self.policies),
            unchanged=len(self.unchanged),
            errors=errors,
            fix=fix,
            seconds=seconds,
            changes_expected=changes_expected,
        )

    def _before(self, metadata: Mapping[str, Any]) -> None:
        urn, op = metadata["urn"], metadata["op"]
        if op == "refresh":
            self._refreshing.add(urn)
        elif not metadata.get("logical"):
            return  # half of a replacement: the step `replace` says it whole
        elif op == "same":
            self.unchanged.add(urn)
        elif op not in _NOT_SHOWN:
            self.steps[urn] = PreviewStep(
                urn=urn,
                type=metadata["type"],
                op=op,
                replace_keys=tuple(metadata.get("keys") or ()),
                detailed_diff=changes_of(metadata),
            )

    def _after(self, metadata: Mapping[str, Any]) -> None:
        urn, op = metadata["urn"], metadata["op"]
        old, new = metadata.get("old") or {}, metadata.get("new") or {}
        if urn in self._refreshing:
            self._refreshing.discard(urn)
            # The engine calls it a refresh whatever it found. What a service adds to its answer as time goes by is nobody's change:
            # only what the program states counts.
            differ = between(old.get("inputs") or {}, new.get("inputs") or {}) if new else ()
            if differ or not new:
                self.outside[urn] = PreviewStep(urn=urn, type=metadata["type"], op="update" if new else "delete", detailed_diff=differ)
        elif metadata["type"] == _STACK and op != "delete":
            # It comes twice: registered without outputs, then with them.
            self.outputs = between(old.get("outputs") or {}, new.get("outputs") or {})

    def _judged(self, event: Mapping[str, Any]) -> None:
        message = COLOUR.sub("", event.get("message", "")).strip()
        if message.startswith("can't run policy"):
            verdict: Verdict = "not run"
        else:
            verdict = "denied" if event.get("enforcementLevel") == "mandatory" else "advice"
        finding = PolicyFinding(
            policy=event.get("policyName", ""),
            pack=event.get("policyPackName", ""),
            verdict=verdict,
            urn=event.get("resourceUrn", ""),
            message=message,
        )
        if finding not in self.policies:
            self.policies.append(finding)
