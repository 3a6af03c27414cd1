"""`python -m guardrails.lint [FILE …]`: refuses a configuration that would quietly weaken the pack.

The engine ignores a misspelt policy name, and `"all": "disabled"` switches everything off without a word.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from guardrails.controls import BY_NAME, Control, Level
from guardrails.exemptions import BadExemption, Exemption

DIRECTORY = Path(__file__).resolve().parent.parent / "config"
STACKS = ("shared", "dev", "test", "prod")
OPTIONS = ("enforcementLevel", "exemptions")
LIST_OPTIONS = ("allowedGroups", "allowedServicePrincipals")
REQUIRING_OPTIONS = (*LIST_OPTIONS, "ownerGroup")


def problems(configuration: Any, *, today: date) -> Iterator[str]:
    """Each weakness in one sentence; nothing for a sound configuration."""
    if not isinstance(configuration, Mapping):
        yield "must be an object of policy names"
        return
    for name, value in configuration.items():
        if name == "all":
            yield "'all' is not allowed: say the level of each policy"
        elif name not in BY_NAME:
            yield f"'{name}' is no policy of the pack. There are: {', '.join(sorted(BY_NAME))}"
        else:
            yield from (f"{name}: {problem}" for problem in _of_policy(BY_NAME[name], value, today))
    for name in BY_NAME:
        if name not in configuration:
            yield f"{name}: is missing"


def _of_policy(control: Control, value: Any, today: date) -> Iterator[str]:
    options = value if isinstance(value, Mapping) else {"enforcementLevel": value}
    yield from _of_level(control, options.get("enforcementLevel"))
    known = (*OPTIONS, *(REQUIRING_OPTIONS if control.requires else ()))
    for unknown in sorted(set(options) - set(known)):
        yield f"unknown option '{unknown}'"
    for name in control.requires:
        if not options.get(name):
            yield f"'{name}' is missing or empty"
    for name in LIST_OPTIONS:
        entries = options.get(name, [])
        if not isinstance(entries, list) or any(not isinstance(each, str) or not each.strip() for each in entries):
            yield f"'{name}' must be a list of names"
        elif loose := [each for each in entries if "*" in each or "@" in each or each.lower() in ("account users", "users")]:
            yield f"'{name}' holds {', '.join(loose)}: only named groups may be listed"
    exemptions = options.get("exemptions", [])
    if not isinstance(exemptions, list):
        yield "'exemptions' must be a list"
        return
    for position, row in enumerate(exemptions):
        yield from (f"exemptions[{position}] {problem}" for problem in _of_exemption(row, today))


def _of_level(control: Control, level: Any) -> Iterator[str]:
    if not isinstance(level, str) or level not in list(Level):
        yield f"enforcementLevel {level!r} must be one of {', '.join(Level)}"
    elif Level(level).weaker_than(control.level):
        yield f"enforcementLevel '{level}' is weaker than '{control.level}', which {control.control} asks for; exempt single resources"


def _of_exemption(row: Any, today: date) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield "must be an object"
        return
    try:
        exemption = Exemption.read(row)
    except BadExemption as problem:
        yield str(problem)
        return
    if not exemption.holds_on(today):
        yield f"expired on {exemption.expiry} ({exemption.ticket}): mend the resource and remove it, or have it approved anew"


def lint(file: Path, *, today: date) -> list[str]:
    """Problems of one file, each with the file's name in front."""
    try:
        configuration = json.loads(file.read_text(), object_pairs_hook=_no_duplicates)
    except (OSError, ValueError) as problem:
        return [f"{file.name}: {problem}"]
    return [f"{file.name}: {problem}" for problem in problems(configuration, today=today)]


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"says {', '.join(twice)} twice; only the last would count")
    return dict(pairs)


def main(arguments: list[str]) -> int:
    files = [Path(each) for each in arguments] or [DIRECTORY / f"{stack}.json" for stack in STACKS]
    found = [problem for file in files for problem in lint(file, today=datetime.now(UTC).date())]
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"{len(files)} policy configurations are sound ({len(BY_NAME)} policies each)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
