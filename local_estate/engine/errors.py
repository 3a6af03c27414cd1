"""What the engine's parts raise: what is wrong, and what to do next."""

from __future__ import annotations


class EngineError(Exception):
    """One sentence on what is wrong, and the fix; both are shown to whoever ran the command."""

    def __init__(self, problem: str, *, fix: str = "") -> None:
        super().__init__(f"{problem}\nFix: {fix}" if fix else problem)
        self.problem = problem
        self.fix = fix


class EngineMissing(EngineError):
    """No usable Pulumi CLI, and none could be had."""


class PolicyEnvironmentMissing(EngineError):
    """The virtual environment of the policy pack is absent or could not be made."""


class StackFailed(EngineError):
    """A Pulumi command failed; `diagnostics` are the engine's own errors, each once, in the order they came."""

    def __init__(self, problem: str, *, diagnostics: tuple[str, ...] = (), fix: str = "") -> None:
        text = "\n".join([problem, *(f"  {line}" for each in diagnostics for line in each.splitlines())])
        super().__init__(text, fix=fix)
        self.diagnostics = diagnostics


class StackBusy(StackFailed):
    """Another live process holds the stack's lock."""


class PolicyViolated(StackFailed):
    """A mandatory policy denied the plan."""
