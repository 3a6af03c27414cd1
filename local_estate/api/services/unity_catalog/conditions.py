"""The conditions of attribute-based policies: `has_tag('pii') AND NOT has_tag_value('level', 'public')`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from local_estate.api.kernel.errors import ApiError

Tags = Mapping[str, str]
Condition = Callable[[Tags], bool]

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\")|(?P<word>\w+)|(?P<sign>[(),]))")
_FUNCTIONS = {"has_tag": 1, "hastag": 1, "has_tag_value": 2, "hastagvalue": 2}


def condition(text: str) -> Condition:
    """What the text asks of an entity's tags. Raises ApiError INVALID_PARAMETER_VALUE for what is no condition."""
    return _parsed(text)[0]


def tags_referred_to(text: str) -> list[tuple[str, str | None]]:
    """Keys the text asks for, each with the value it asks for or None. Raises ApiError as `condition`."""
    return _parsed(text)[1]


def _parsed(text: str) -> tuple[Condition, list[tuple[str, str | None]]]:
    try:
        parser = _Parser(text)
        found = parser.either()
        parser.end()
    except _NotACondition as wrong:
        raise ApiError(
            "INVALID_PARAMETER_VALUE",
            f"The condition {text!r} is not valid: {wrong}. Conditions are made of has_tag('key'), has_tag_value('key', 'value'), "
            "TRUE, FALSE, AND, OR, NOT and parentheses.",
        ) from None
    return found, parser.references


class _NotACondition(Exception):
    pass


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self.references: list[tuple[str, str | None]] = []

    def end(self) -> None:
        if self._tokens:
            raise _NotACondition(f"it goes on at {self._tokens[0]}")

    def either(self) -> Condition:
        sides = [self._both()]
        while self._took("OR"):
            sides.append(self._both())
        return lambda tags: any(side(tags) for side in sides)

    def _both(self) -> Condition:
        sides = [self._one()]
        while self._took("AND"):
            sides.append(self._one())
        return lambda tags: all(side(tags) for side in sides)

    def _one(self) -> Condition:
        if self._took("NOT"):
            inner = self._one()
            return lambda tags: not inner(tags)
        if self._took("("):
            grouped = self.either()
            self._expect(")")
            return grouped
        for word, answer in (("TRUE", True), ("FALSE", False)):
            if self._took(word):
                return lambda tags, answer=answer: answer  # type: ignore[misc]
        return self._call()

    def _call(self) -> Condition:
        name = self._tokens.pop(0) if self._tokens else "its end"
        if name.lower() not in _FUNCTIONS:
            raise _NotACondition(f"{name} is not expected")
        self._expect("(")
        given = [self._text()]
        while self._took(","):
            given.append(self._text())
        self._expect(")")
        if len(given) != _FUNCTIONS[name.lower()]:
            raise _NotACondition(f"{name} takes {_FUNCTIONS[name.lower()]} argument(s)")
        self.references.append((given[0], given[1] if len(given) == 2 else None))
        if len(given) == 1:
            return lambda tags: given[0] in tags
        return lambda tags: tags.get(given[0]) == given[1]

    def _text(self) -> str:
        token = self._tokens.pop(0) if self._tokens else ""
        if token[:1] not in ("'", '"'):
            raise _NotACondition("a quoted text is missing")
        return token[1:-1].replace("''", "'")

    def _took(self, token: str) -> bool:
        if self._tokens and self._tokens[0].upper() == token:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._took(token):
            raise _NotACondition(f"{token!r} is missing")


def _tokens(text: str) -> Iterator[str]:
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            raise _NotACondition(f"{text[position : position + 10]!r} is not expected")
        yield found[0].strip()
        position = found.end()
