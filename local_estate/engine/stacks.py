"""Runs stacks with the Pulumi CLI: `up`, `preview`, `refresh`, `destroy`, `outputs`, and mends what a killed run left behind."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from local_estate.engine import cli as pulumi_cli
from local_estate.engine.cli import PulumiCli
from local_estate.engine.environment import environment
from local_estate.engine.errors import EngineError, EngineMissing, PolicyViolated, StackBusy, StackFailed
from local_estate.engine.events import EventReader, UpSummary
from local_estate.engine.preview_report import PreviewReader, PreviewReport
from local_estate.engine.reporting import Reporter, Step
from local_estate.engine.state_backend import StateBackend, is_counted
from local_estate.paths import Paths

HEARTBEAT = 50  # resources between two lines of a log that is no terminal
LOCK_HINT = "the stack is currently locked"


@dataclass(frozen=True, kw_only=True)
class PolicyPack:
    directory: Path
    config: Path | None = None

    @classmethod
    def of(cls, paths: Paths, stack: str) -> PolicyPack:
        """The project's own pack with the enforcement of `stack`."""
        return cls(directory=paths.repository / "policies", config=paths.repository / "policies" / "config" / f"{stack}.json")

    def arguments(self) -> list[str]:
        return [
            "--policy-pack",
            str(self.directory),
            *(["--policy-pack-config", str(self.config)] if self.config else []),
        ]


@dataclass
class Stacks:
    """Stacks of the program in `project` (default: the checkout), with the state of `paths.home`.

    `variables` are set on top of `environment(paths)`. Not for several threads at once.
    """

    paths: Paths
    project: Path | None = None
    cli: PulumiCli | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    reporter: Reporter = field(default_factory=Reporter)

    def __post_init__(self) -> None:
        self.project = self.project or self.paths.repository
        self.cli = self.cli or pulumi_cli.find(self.paths)
        if self.cli is None:
            raise EngineMissing("there is no Pulumi CLI yet", fix="make up, or python -m local_estate.engine prepare")

    def ensure(self, stack: str) -> bool:
        """Makes the stack in the backend if it is missing; True when it did. A committed `Pulumi.<stack>.yaml` stays byte for byte."""
        if self._backend.exists(stack):
            return False
        self.paths.pulumi_state.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._project / f"Pulumi.{stack}.yaml"
        committed = file.read_bytes() if file.exists() else None
        try:
            self._plain(["stack", "init", stack, "--no-select"])
        finally:
            if committed is not None and file.read_bytes() != committed:
                file.write_bytes(committed)
        return True

    def up(
        self,
        stack: str,
        policy_packs: Sequence[PolicyPack] = (),
        *,
        expect_no_changes: bool = False,
        refresh: bool = False,
        config_file: Path | None = None,
    ) -> UpSummary:
        """Deploys without asking. Raises PolicyViolated, StackBusy or StackFailed with the engine's diagnostics."""
        flags = ["--yes", "--skip-preview", *_no_changes(expect_no_changes), *(["--refresh"] if refresh else [])]
        return self._operation("up", stack, flags, policy_packs, config_file)

    def preview(
        self,
        stack: str,
        policy_packs: Sequence[PolicyPack] = (),
        *,
        expect_no_changes: bool = False,
        config_file: Path | None = None,
    ) -> UpSummary:
        """Whether it succeeds or not, it leaves no stack behind that was not there: nothing exists because somebody looked."""
        return self._preview(stack, _no_changes(expect_no_changes), policy_packs, config_file)

    def preview_report(
        self,
        stack: str,
        policy_packs: Sequence[PolicyPack] = (),
        *,
        refresh: bool = False,
        expect_no_changes: bool = False,
        config_file: Path | None = None,
    ) -> PreviewReport:
        """What `up` would do, told whole. A preview that failed or was denied is a report that says so, not an exception."""
        started = time.monotonic()
        reader = PreviewReader()
        errors: tuple[str, ...] = ()
        fix = ""
        try:
            self._preview(stack, ["--refresh"] if refresh else [], policy_packs, config_file, reader)
        except PolicyViolated:
            errors = tuple(reader.diagnostics)  # the denials themselves are the reader's
        except StackFailed as problem:
            errors, fix = problem.diagnostics or (problem.problem,), problem.fix
        return reader.report(stack, time.monotonic() - started, errors=errors, fix=fix, changes_expected=not expect_no_changes)

    def refresh(self, stack: str, *, expect_no_changes: bool = False, clear_pending_creates: bool = False) -> UpSummary:
        clear = ["--clear-pending-creates"] if clear_pending_creates else []
        return self._operation("refresh", stack, ["--yes", "--skip-preview", *clear, *_no_changes(expect_no_changes)])

    def destroy(self, stack: str, *, exclude_protected: bool = False) -> UpSummary:
        return self._operation("destroy", stack, ["--yes", "--skip-preview", *(["--exclude-protected"] if exclude_protected else [])])

    def outputs(self, stack: str, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs; secrets are `[secret]` unless asked for."""
        flags = ["--show-secrets"] if show_secrets else []
        found: dict[str, Any] = json.loads(self._plain(["stack", "output", "--json", "--stack", stack, *flags]) or "{}")
        return found

    def names(self) -> list[str]:
        return self._backend.names()

    def resource_count(self, stack: str) -> int:
        """Resources in the state, as `up` and `preview` count them."""
        return sum(map(is_counted, self._backend.resources(stack)))

    def heal(self, stack: str) -> None:
        """Frees a dead process's lock and clears interrupted creations, a line each; raises StackBusy when the holder lives."""
        locks = self._backend.locks(stack)
        if living := [lock for lock in locks if lock.alive]:
            raise StackBusy(
                f"{stack} is held by process {living[0].pid} on {living[0].hostname} since {living[0].timestamp}",
                fix="wait until it ends; if it is not yours to wait for: pulumi cancel -s " + stack,
            )
        if locks:
            self._plain(["cancel", "--yes", "--stack", stack])
            self.reporter.line(f"{stack}: freed the lock of process {locks[0].pid}, which is gone.")
        interrupted = [each for each in self._backend.pending(stack) if each.kind == "creating"]
        if interrupted:
            # Only the provider can tell whether the creation happened: ours look a resource up by its name before they create it.
            names = ", ".join(each.urn.rsplit("::", 1)[-1] for each in interrupted[:5])
            self.reporter.line(f"{stack}: {len(interrupted)} interrupted creations ({names}); cleared, the next up finds or creates them.")
            self._run("refresh", ["--stack", stack, "--yes", "--skip-preview", "--clear-pending-creates"], stack)

    @property
    def _project(self) -> Path:
        return self.project or self.paths.repository

    @property
    def _backend(self) -> StateBackend:
        name = yaml.safe_load((self._project / "Pulumi.yaml").read_text())["name"]
        return StateBackend(self.paths.pulumi_state, str(name))

    def _preview(
        self,
        stack: str,
        flags: Sequence[str],
        packs: Sequence[PolicyPack],
        config_file: Path | None,
        reader: EventReader | None = None,
    ) -> UpSummary:
        made = self.ensure(stack)
        try:
            return self._operation("preview", stack, flags, packs, config_file, reader)
        finally:
            if made:
                self._plain(["stack", "rm", "--yes", "--preserve-config", stack])

    def _operation(
        self,
        verb: str,
        stack: str,
        flags: Iterable[str],
        packs: Sequence[PolicyPack] = (),
        config_file: Path | None = None,
        reader: EventReader | None = None,
    ) -> UpSummary:
        self.ensure(stack)
        if verb != "preview":
            self.heal(stack)
        arguments = [
            "--stack",
            stack,
            *flags,
            *_config_file(config_file),
            *(word for pack in packs for word in pack.arguments()),
        ]
        return self._run(verb, arguments, stack, reader)

    def _run(self, verb: str, arguments: Iterable[str], stack: str, reader: EventReader | None = None) -> UpSummary:
        started = time.monotonic()
        reader = reader or EventReader()
        with (
            self.reporter.step(f"pulumi {verb} {stack}") as step,
            self._process([verb, *arguments, "--json"]) as process,
        ):
            errors: list[str] = []
            assert process.stdout is not None and process.stderr is not None  # noqa: S101  PIPE was asked for
            listening = threading.Thread(target=_collect, args=(process.stderr, errors), daemon=True)
            listening.start()
            try:
                self._follow(process.stdout, reader, step, errors)
            except KeyboardInterrupt:
                # The engine got the same signal: it finishes what is under way, saves, and frees its lock.
                self.reporter.line("Interrupted; the engine finishes what is under way …")
                process.wait()
                raise
            code = process.wait()
            listening.join()
        if code:
            raise self._failure(verb, stack, reader, errors)
        summary = reader.summary(time.monotonic() - started)
        self.reporter.line(f"pulumi {verb} {stack}: {summary}")
        return summary

    def _follow(self, stream: IO[str], reader: EventReader, step: Step, errors: list[str]) -> None:
        for line in stream:
            if not line.startswith("{"):
                errors.append(line.rstrip())
                continue
            before = reader.seen
            if (said := reader.line(json.loads(line))) is not None:
                self.reporter.line(said)
            if reader.seen != before:
                step.say(f"{reader.seen} resources, {len(reader.changed_resources)} changed, {reader.current}")
                if reader.seen % HEARTBEAT == 0 and not self.reporter.console.is_terminal:
                    self.reporter.line(f"  {reader.seen} resources, {len(reader.changed_resources)} changed")

    def _failure(self, verb: str, stack: str, reader: EventReader, errors: list[str]) -> StackFailed:
        text = "\n".join(errors)
        if reader.denials:
            fix = "change what the policy names, or ask for an exemption in policies/config (URN, reason, ticket, approver, expiry)"
            return PolicyViolated(f"policies deny pulumi {verb} {stack}:", diagnostics=tuple(reader.denials), fix=fix)
        if LOCK_HINT in text:
            return StackBusy(f"{stack} is locked by another process", diagnostics=_spoken(errors), fix="wait until it ends")
        if "no changes were expected" in text:
            changes = tuple(reader.changed_resources) or _spoken(errors)
            return StackFailed(
                f"{stack} was expected not to change, and did:",
                diagnostics=changes,
                fix="see what differs: pulumi preview --diff",
            )
        if reader.diagnostics:
            text = "\n".join(reader.diagnostics)
        diagnostics = tuple(reader.diagnostics) or _spoken(errors) or (f"the engine said nothing; see {verb} with -v=3",)
        return StackFailed(f"pulumi {verb} {stack} failed:", diagnostics=diagnostics, fix=self._fix_for(stack, text))

    def _fix_for(self, stack: str, text: str) -> str:
        if missing := re.search(r'unknown stack "([^"]+)"', text):
            return f"deploy the stack it refers to first: pulumi up -s {missing[1].rsplit('/', 1)[-1]}"
        if "exists in deleted state" in text:
            return (
                f"set lakehouse:recover_vault: true in Pulumi.{stack}.yaml for one up, which takes the deleted vault back; "
                "see docs/runbooks/destroyed-and-up-again.md"
            )
        if "passphrase" in text:
            return f"the salt in Pulumi.{stack}.yaml belongs to the documented local passphrase; restore the committed file"
        if "failed to load checkpoint" in text:
            backup = self._backend.newest_backup(stack)
            return f"copy the newest backup over {self._backend.checkpoint(stack)}: {backup}" if backup else ""
        return ""

    def _process(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        for file in self._backend.mend_attributes():
            self.reporter.line(f"Removed {file}: a killed command left it empty, and no command could read the state beside it.")
        variables = {
            **environment(self.paths, cli=self.cli),
            "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
            "NO_COLOR": "1",
            **self.variables,
        }
        assert self.cli is not None  # noqa: S101  __post_init__ found it
        return subprocess.Popen(
            [str(self.cli.command), *arguments, "--non-interactive", "--color", "never"],
            cwd=self._project,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def _plain(self, arguments: Sequence[str]) -> str:
        with self._process(arguments) as process:
            out, err = process.communicate()
        if process.returncode:
            raise StackFailed(
                f"pulumi {' '.join(arguments[:2])} failed:",
                diagnostics=_spoken(err.splitlines()),
                fix=self._fix_for("<stack>", err),
            )
        return out


def _no_changes(expected: bool) -> list[str]:
    return ["--expect-no-changes"] if expected else []


def _config_file(file: Path | None) -> list[str]:
    return ["--config-file", str(file)] if file else []


def _collect(stream: IO[str], into: list[str]) -> None:
    into.extend(line.rstrip() for line in stream)


def _spoken(lines: Iterable[str]) -> tuple[str, ...]:
    """The lines that carry the message: without the empty ones and the `error:` in front."""
    return tuple(line.removeprefix("error: ").strip() for line in lines if line.strip())


__all__ = ["EngineError", "PolicyPack", "Stacks", "UpSummary"]
