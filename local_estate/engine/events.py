"""The engine's JSON events, read into what a person wants to know: what changed, what failed, what a policy said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# What the engine says besides the real error; alone it would explain nothing.
ECHO = re.compile(r"(update|preview|destroy|refresh|import) failed", re.IGNORECASE)
COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True)
class UpSummary:
    """Counts of resources, the stack resource included; `duration` in seconds. `policies_not_run` met a value unknown at preview."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    replaced: int = 0
    same: int = 0
    duration: float = 0.0
    advisories: tuple[str, ...] = ()
    policies_not_run: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        return self.created + self.updated + self.deleted + self.replaced

    def __str__(self) -> str:
        counts = {"created": self.created, "updated": self.updated, "replaced": self.replaced, "deleted": self.deleted}
        said = [f"{count} {name}" for name, count in counts.items() if count] or ["no changes"]
        return f"{', '.join(said)}, {self.same} unchanged in {self.duration:.0f} s"


@dataclass
class EventReader:
    """Takes events one by one; `line()` is what is worth showing now, or None."""

    changes: Counter[str] = field(default_factory=Counter)
    diagnostics: list[str] = field(default_factory=list)
    denials: list[str] = field(default_factory=list)
    advisories: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    changed_resources: list[str] = field(default_factory=list)
    seen: int = 0
    current: str = ""

    def line(self, event: Mapping[str, Any]) -> str | None:
        if "diagnosticEvent" in event:
            return self._diagnostic(event["diagnosticEvent"])
        if "policyEvent" in event:
            return self._policy(event["policyEvent"])
        if "resourcePreEvent" in event:
            self.current = _display(event["resourcePreEvent"]["metadata"]["urn"])
        elif "resOutputsEvent" in event:
            self._outputs(event["resOutputsEvent"]["metadata"])
        elif "summaryEvent" in event:
            self.changes.update(event["summaryEvent"].get("resourceChanges") or {})
        return None

    def _outputs(self, metadata: Mapping[str, Any]) -> None:
        self.seen += 1
        if metadata["op"] not in ("same", "read", "refresh"):
            self.changed_resources.append(f"{metadata['op']} {_display(metadata['urn'])}")

    def _diagnostic(self, event: Mapping[str, Any]) -> str | None:
        # Debug messages hold values in clear, secrets too: they go nowhere.
        severity = event.get("severity", "")
        if severity == "debug" or event.get("ephemeral"):
            return None
        message = COLOUR.sub("", event.get("message", "")).strip()
        if not message:
            return None
        text = f"{_display(event['urn'])}: {message}" if event.get("urn") and not _is_stack(event["urn"]) else message
        if severity == "error":
            if not ECHO.fullmatch(message) and text not in self.diagnostics:
                self.diagnostics.append(text)
            return None
        return text

    def _policy(self, event: Mapping[str, Any]) -> str | None:
        message = COLOUR.sub("", event.get("message", "")).strip()
        where = _display(event["resourceUrn"]) if event.get("resourceUrn") else "stack"
        text = f"{event.get('policyName', 'policy')} on {where}: {message}"
        if message.startswith("can't run policy"):
            found, shown = self.not_run, f"not checked yet: {text}"
        elif event.get("enforcementLevel") == "mandatory":
            found, shown = self.denials, None
        else:
            found, shown = self.advisories, f"advice: {text}"
        if text in found:
            return None
        found.append(text)
        return shown

    def summary(self, duration: float) -> UpSummary:
        count = self.changes
        return UpSummary(
            created=count["create"],
            updated=count["update"],
            deleted=count["delete"],
            replaced=count["replace"],
            same=count["same"],
            duration=duration,
            advisories=tuple(self.advisories),
            policies_not_run=tuple(self.not_run),
        )


def _is_stack(urn: str) -> bool:
    return "::pulumi:pulumi:Stack::" in urn


def _display(urn: str) -> str:
    """`urn:pulumi:dev::lakehouse::A$azure-native:resources:ResourceGroup::rg` → `azure-native:resources:ResourceGroup rg`."""
    parts = urn.split("::", 3)
    return f"{parts[2].rsplit('$', 1)[-1]} {parts[3]}" if len(parts) == 4 else urn
