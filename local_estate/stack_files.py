"""The stack files of the checkout, `Pulumi.<stack>.yaml`: which stacks there are, and what one of them says."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml

_SCOPE = "lakehouse:scope"


class NoSuchStack(LookupError):
    """No stack file has this name, or the stack is of the wrong kind; the message names those that would do."""


class StackFileBroken(Exception):
    """A stack file cannot be read; the message names file, line and fix."""


def names(repository: Path) -> list[str]:
    """Every stack with a file of its own."""
    return sorted(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in repository.glob("Pulumi.*.yaml"))


def read(repository: Path, stack: str) -> dict[str, Any]:
    """The whole file. Raises NoSuchStack or StackFileBroken."""
    file = repository / f"Pulumi.{stack}.yaml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoSuchStack(_no_such(stack, names(repository))) from None
    except UnicodeDecodeError as error:
        raise StackFileBroken(f"{file.name} is no UTF-8 text (byte {error.start}). Fix: save it as UTF-8.") from None
    except yaml.YAMLError as error:
        raise StackFileBroken(_broken(file, error)) from None
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise StackFileBroken(f"{file.name} holds no `config:` with settings below it. Fix: write it as the other stack files are.")
    return content


def config(repository: Path, stack: str) -> dict[str, Any]:
    """The settings below `config:`. Raises NoSuchStack or StackFileBroken."""
    found: dict[str, Any] = read(repository, stack)["config"]
    return found


def is_environment(repository: Path, stack: str) -> bool:
    """False for the stack of the account. Raises NoSuchStack or StackFileBroken."""
    return config(repository, stack).get(_SCOPE) != "account"


def environments(repository: Path) -> list[str]:
    """Stacks that are environments; a file that cannot be read is not among them."""
    found = []
    for stack in names(repository):
        try:
            if is_environment(repository, stack):
                found.append(stack)
        except StackFileBroken:
            continue
    return found


def require(repository: Path, stack: str) -> str:
    """`stack`, if there is a file of it that can be read. Raises NoSuchStack or StackFileBroken."""
    read(repository, stack)
    return stack


def require_environment(repository: Path, stack: str) -> str:
    """`stack`, if it is an environment. Raises NoSuchStack, also for the account's stack, or StackFileBroken."""
    if not is_environment(repository, stack):
        known = ", ".join(environments(repository)) or "none yet"
        raise NoSuchStack(f"stack {stack} holds what the environments share: no workspace, jobs or tables. Environments: {known}")
    return stack


def _no_such(stack: str, known: list[str]) -> str:
    close = difflib.get_close_matches(stack, known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return f"there is no stack {stack!r}: no file Pulumi.{stack}.yaml.{meant} Stacks: {', '.join(known) or 'none'}"


def _broken(file: Path, error: yaml.YAMLError) -> str:
    """One line. Of the text around the place nothing is repeated: it may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "it cannot be parsed")
    where = f"{file.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else file.name
    return f"{where}: no valid YAML: {problem}. Fix: correct the line, or the one before it (indentation, a colon, a quote)."
