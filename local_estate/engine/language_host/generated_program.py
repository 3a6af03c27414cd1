"""Python for what `pulumi import` has put into the state.

The engine hands over Pulumi's own configuration language (PCL), made from the state and the provider's schema: one `resource` block each.
Only what the importer writes is read: text, numbers, lists, objects, calls and names. Keys of maps are quoted there, names of
properties are not.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n,]+|\#[^\n]*|//[^\n]*)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_]\w*)*)|(?P<mark>[{}\[\]()=:])""",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_CONSTANTS = {"true": "True", "false": "False", "null": "None"}
_CALLS = {
    "secret": "pulumi.Output.secret",
    "fileAsset": "pulumi.FileAsset",
    "stringAsset": "pulumi.StringAsset",
    "fileArchive": "pulumi.FileArchive",
}
_OPTIONS = {
    "parent": "parent", "provider": "provider", "dependsOn": "depends_on", "protect": "protect", "retainOnDelete": "retain_on_delete",
    "ignoreChanges": "ignore_changes", "deletedWith": "deleted_with", "import": "",
}  # fmt: skip


class NotUnderstood(Exception):
    """The text holds what no importer of ours has met yet."""


@dataclass
class _Block:
    labels: list[str]
    attributes: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    refers_to: set[str] = field(default_factory=set)


def python_of(sources: dict[str, str]) -> str:
    """A program that declares every resource of `sources`. Raises NotUnderstood."""
    blocks = [block for name in sorted(sources) for block in _Parser(sources[name]).blocks()]
    modules: set[str] = {"import pulumi"}
    declared = [_declaration(block, modules) for block in _ordered(blocks)]
    return "\n".join(sorted(modules)) + "\n\n" + "\n".join(declared)


def _ordered(blocks: list[_Block]) -> Iterator[_Block]:
    """What others refer to comes before them, else as it was written."""
    waiting = list(blocks)
    while waiting:
        names = {block.labels[0] for block in waiting}
        ready = next((block for block in waiting if not block.refers_to & (names - {block.labels[0]})), waiting[0])
        waiting.remove(ready)
        yield ready


def _declaration(block: _Block, modules: set[str]) -> str:
    label, token = block.labels
    logical = block.attributes.pop("__logicalName", _quoted(label))
    arguments = [logical, *(f"{python_name(name)}={value}" for name, value in block.attributes.items())]
    options = [f"{_OPTIONS[name]}={value}" for name, value in block.options.items() if _OPTIONS[name]]
    if options:
        arguments.append(f"opts=pulumi.ResourceOptions({', '.join(options)})")
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return f"{python_name(label)} = {_class(token, modules)}(\n{lines})\n"


def _class(token: str, modules: set[str]) -> str:
    package, module, name = token.split(":")
    module = module.split("/")[0]
    # Under the package's own name: both azure-native and Databricks have something called `databricks`.
    library = package.replace("-", "_")
    modules.add(f"import pulumi_{library} as {library}")
    return f"{library}.{name}" if module in ("index", "") else f"{library}.{module}.{name}"


def python_name(name: str) -> str:
    """As Pulumi's SDKs spell a property: `isHnsEnabled` is `is_hns_enabled`, `lambda` is `lambda_`."""
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).replace("-", "_").lower()
    return f"{words}_" if keyword.iskeyword(words) else words


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._names: set[str] = set()

    def blocks(self) -> Iterator[_Block]:
        while self._next < len(self._tokens):
            found = self._take("name")
            labels = []
            while self._kind() in ("name", "text"):
                kind, value = self._advance()
                labels.append(_text(value) if kind == "text" else value)
            if found == "package":
                self._skip()  # the version of a provider: Python's are in the locks
                continue
            if found != "resource":
                raise NotUnderstood("only resources are written as code")
            if len(labels) != 2:
                raise NotUnderstood("a resource needs a name and a type")
            block = _Block(labels)
            self._names = block.refers_to
            self._body(block)
            yield block

    def _skip(self) -> None:
        self._mark("{")
        open_blocks = 1
        while open_blocks:
            open_blocks += {("mark", "{"): 1, ("mark", "}"): -1}.get(self._advance(), 0)

    def _body(self, block: _Block) -> None:
        self._mark("{")
        while not self._at("}"):
            name = self._take("name")
            if name == "options" and self._at("{"):
                self._options(block)
                continue
            self._mark("=")
            block.attributes[name] = self._value(1)
        self._mark("}")

    def _options(self, block: _Block) -> None:
        self._mark("{")
        while not self._at("}"):
            name = self._take("name")
            self._mark("=")
            value = self._value(1)
            if name not in _OPTIONS:
                raise NotUnderstood(f"the option {name} is not known")
            block.options[name] = value
        self._mark("}")

    def _value(self, depth: int) -> str:
        kind, value = self._advance()
        if kind == "text":
            return _quoted(_text(value))
        if kind == "number":
            return value
        if kind == "name":
            if self._at("("):
                return self._call(value, depth)
            if value in _CONSTANTS:
                return _CONSTANTS[value]
            self._names.add(value.split(".")[0])
            return ".".join(python_name(part) for part in value.split("."))
        if value == "[":
            return self._list(depth)
        if value == "{":
            return self._object(depth)
        raise NotUnderstood(f"'{value}' is no value")

    def _call(self, name: str, depth: int) -> str:
        if name not in _CALLS:
            raise NotUnderstood(f"the function {name} is not known")
        self._mark("(")
        given = self._value(depth)
        self._mark(")")
        return f"{_CALLS[name]}({given})"

    def _list(self, depth: int) -> str:
        elements = []
        while not self._at("]"):
            elements.append(self._value(depth + 1))
        self._mark("]")
        return _wrapped("[", elements, "]", depth)

    def _object(self, depth: int) -> str:
        items = []
        while not self._at("}"):
            kind, key = self._advance()
            if kind not in ("name", "text"):
                raise NotUnderstood(f"'{key}' is no key")
            name = _text(key) if kind == "text" else python_name(key)
            if not (self._at("=") or self._at(":")):
                raise NotUnderstood(f"the key {name} has no value")
            self._advance()
            items.append(f"{_quoted(name)}: {self._value(depth + 1)}")
        self._mark("}")
        return _wrapped("{", items, "}", depth)

    def _kind(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _at(self, mark: str) -> bool:
        return self._next < len(self._tokens) and self._tokens[self._next] == ("mark", mark)

    def _advance(self) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            raise NotUnderstood("it ends in the middle")
        self._next += 1
        return self._tokens[self._next - 1]

    def _take(self, kind: str) -> str:
        found, value = self._advance()
        if found != kind:
            raise NotUnderstood(f"'{value}' stands where a {kind} should")
        return value

    def _mark(self, mark: str) -> None:
        if self._advance() != ("mark", mark):
            raise NotUnderstood(f"a '{mark}' is missing")


def _wrapped(opening: str, parts: list[str], closing: str, depth: int) -> str:
    """On one line where it fits."""
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) + 4 * depth <= 100 and "\n" not in line:
        return line
    inner = "    " * (depth + 1)
    return opening + "\n" + "".join(f"{inner}{part},\n" for part in parts) + "    " * depth + closing


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise NotUnderstood(f"'{text[place : place + 20]}' is not known")
        place = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found[0]


def _text(quoted: str) -> str:
    if re.search(r"(?<!\$)\$\{|(?<!%)%\{", quoted):
        raise NotUnderstood("text with an expression inside is not known")

    def plain(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        return _ESCAPES.get(found[2], found[2])

    unescaped = re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", plain, quoted[1:-1])
    return unescaped.replace("$${", "${").replace("%%{", "%{")


__all__ = ["NotUnderstood", "python_name", "python_of"]
