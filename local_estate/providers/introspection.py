"""What the published Python SDK knows of a resource type: names on the wire, types, what is required, what is secret.

Run as `python -m local_estate.providers.introspection PACKAGE DIRECTORY TOKEN…` it writes one JSON file per type. Importing an SDK takes
seconds and hundreds of megabytes, so providers never do: they read these files (`schemas.py`), which one run per SDK version leaves.
"""

from __future__ import annotations

import ast
import collections.abc
import enum
import functools
import importlib
import importlib.util
import inspect
import json
import re
import sys
import textwrap
import types
import typing
from pathlib import Path
from typing import Any

Node = dict[str, Any]

_PRIMITIVES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


@functools.cache
def tokens(package: str) -> dict[str, tuple[str, str]]:
    """Type token -> (module, class) of every resource of an SDK, read from its `__init__.py` without running it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise LookupError(f"the Python package {package} is not installed")
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(ast.parse(Path(spec.origin).read_text())):
        if not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "register"):
            continue
        for keyword in node.keywords:
            if keyword.arg == "resource_modules" and isinstance(keyword.value, ast.Constant):
                for module in json.loads(str(keyword.value.value)):
                    found.update({token: (module["fqn"], name) for token, name in module["classes"].items()})
    return found


def describe(package: str, token: str) -> Node:
    """One type: `inputs`, `required`, `outputs`, secret and replacing ones, and the nested objects of both in `defs` and `outputDefs`."""
    import pulumi._types as pulumi_types

    module_name, class_name = tokens(package)[token]
    module = _defining_module(module_name, class_name)
    resource = getattr(module, class_name)
    # The args class is not always the class's name with "Args": network.Subnet has SubnetInitArgs, SubnetArgs being its inline form.
    args = getattr(module, next(name for name in module.__all__ if name.endswith("Args")))
    definitions: dict[str, Node] = {}
    _define(args, definitions)
    root = definitions.pop(args.__name__)
    to_wire = pulumi_types.resource_py_to_pulumi_names(resource)
    facts = _facts(resource, {**to_wire, **pulumi_types.input_type_py_to_pulumi_names(args)})
    shapes: dict[str, Node] = {}
    outputs: Node = {
        to_wire.get(name, name): _output_node(annotation, shapes) for name, annotation in pulumi_types.resource_types(resource).items()
    }
    outputs = {name: outputs.get(name, {"type": "any"}) for name in sorted({*outputs, *to_wire.values()})}
    return {
        "token": token,
        "inputs": root["properties"],
        "required": root["required"],
        "outputs": outputs,
        **facts,
        "defs": definitions,
        "outputDefs": shapes,
    }


def _defining_module(module_name: str, class_name: str) -> Any:
    """Imports the one file that defines the class; the packages above it are entered without running their `__init__`."""
    # typing shares one ForwardRef between equal annotations and remembers what it meant first: storage's "SkuArgs" would become keyvault's.
    for forget in typing._cleanups:  # type: ignore[attr-defined]
        forget()
    parts = module_name.split(".")
    for depth in range(1, len(parts) + 1):
        _enter(".".join(parts[:depth]))
    directory = Path(sys.modules[module_name].__path__[0])
    marker = re.compile(rf"^class {class_name}\(pulumi\.(Custom|Provider)", re.MULTILINE)
    for file in sorted(directory.glob("*.py")):
        if file.stem.replace("_", "") == class_name.lower() and marker.search(file.read_text()):
            return importlib.import_module(f"{module_name}.{file.stem}")
    for file in sorted(directory.glob("*.py")):
        if file.stem not in ("_inputs", "outputs", "__init__") and marker.search(file.read_text()):
            return importlib.import_module(f"{module_name}.{file.stem}")
    raise LookupError(f"no file of {module_name} defines {class_name}")


def _enter(package: str) -> None:
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise LookupError(f"the Python package {package} is not installed")
    module = types.ModuleType(package)
    module.__path__ = list(spec.submodule_search_locations or ())
    module.__spec__ = spec
    sys.modules[package] = module


def _arms(annotation: Any) -> list[Any]:
    """The alternatives of an annotation without Input, Output, Awaitable, None and the TypedDict twin of an args class."""
    import pulumi

    arms: list[Any] = []
    waiting = [annotation]
    while waiting:
        each = waiting.pop(0)
        origin = typing.get_origin(each)
        if origin in (typing.Union, types.UnionType):
            waiting = [*typing.get_args(each), *waiting]
        elif (
            each is type(None)
            or origin is collections.abc.Awaitable
            or typing.is_typeddict(each)
            or any(inspect.isclass(known) and issubclass(known, pulumi.Output) for known in (origin, each))
        ):
            continue
        elif each not in arms:
            arms.append(each)
    return arms


def _node(annotation: Any, definitions: dict[str, Node]) -> Node:
    nodes = [_arm(each, definitions) for each in _arms(annotation)]
    if len(nodes) == 2 and {"type": "string"} in nodes and any("values" in each for each in nodes):
        return {"type": "string"}  # an open enum
    return nodes[0] if len(nodes) == 1 else {"type": "any"}


def _arm(annotation: Any, definitions: dict[str, Node]) -> Node:
    import pulumi
    import pulumi._types as pulumi_types

    origin = typing.get_origin(annotation)
    if annotation in _PRIMITIVES:
        return {"type": _PRIMITIVES[annotation]}
    if origin in (collections.abc.Sequence, list):
        return {"type": "array", "items": _node(typing.get_args(annotation)[0], definitions)}
    if origin in (collections.abc.Mapping, dict):
        return {"type": "map", "values": _node(typing.get_args(annotation)[1], definitions)}
    if inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
        kind = _PRIMITIVES[next(base for base in annotation.__mro__ if base in _PRIMITIVES)]
        return {"type": kind, "values": [each.value for each in annotation]}
    if inspect.isclass(annotation) and pulumi_types.is_input_type(annotation):
        _define(annotation, definitions)
        return {"type": "object", "ref": annotation.__name__}
    if inspect.isclass(annotation) and issubclass(annotation, (pulumi.Asset, pulumi.Archive)):
        return {"type": "asset"}
    return {"type": "any"}


def _output_node(annotation: Any, shapes: dict[str, Node]) -> Node:
    """Of a value that the service answers: which parts it has, for what a preview does not know of them."""
    import pulumi._types as pulumi_types

    arms = _arms(annotation)
    if len(arms) != 1:
        return {"type": "any"}
    origin = typing.get_origin(arms[0])
    if origin in (collections.abc.Sequence, list):
        return {"type": "array", "items": _output_node(typing.get_args(arms[0])[0], shapes)}
    if origin in (collections.abc.Mapping, dict):
        return {"type": "map", "values": _output_node(typing.get_args(arms[0])[1], shapes)}
    if arms[0] in _PRIMITIVES:
        return {"type": _PRIMITIVES[arms[0]]}
    if inspect.isclass(arms[0]) and pulumi_types.is_output_type(arms[0]):
        _define_output(arms[0], shapes)
        return {"type": "object", "ref": arms[0].__name__}
    return {"type": "any"}


def _define_output(shape: Any, shapes: dict[str, Node]) -> None:
    import pulumi._types as pulumi_types

    if shape.__name__ in shapes:
        return
    shapes[shape.__name__] = {}
    names = {name: wire for name, wire, _ in pulumi_types._py_properties(shape)}
    parts = pulumi_types.output_type_types(shape)
    shapes[shape.__name__] = {names.get(name, name): _output_node(annotation, shapes) for name, annotation in parts.items()}


def _define(args: Any, definitions: dict[str, Node]) -> None:
    import pulumi
    import pulumi._types as pulumi_types

    if args.__name__ in definitions:
        return
    definitions[args.__name__] = {}
    names = pulumi_types.input_type_py_to_pulumi_names(args)
    scope = {"Output": pulumi.Output, "T": typing.TypeVar("T"), **vars(pulumi.output), **vars(sys.modules[args.__module__])}
    hints = typing.get_type_hints(args.__init__, globalns=scope)
    properties, required = {}, []
    for name, parameter in inspect.signature(args.__init__).parameters.items():
        if name in ("__self__", "self"):
            continue
        wire = names.get(name, name)
        properties[wire] = _node(hints[name], definitions)
        if parameter.default is inspect.Parameter.empty:
            required.append(wire)
    definitions[args.__name__] = {"properties": properties, "required": sorted(required)}


def _facts(resource: Any, to_wire: dict[str, str]) -> Node:
    """What only the body of `_internal_init` says: secrets, required properties and replace_on_changes."""
    facts: dict[str, list[str]] = {"secretInputs": [], "secretOutputs": [], "replaceOnChanges": []}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(resource._internal_init)))):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            if keyword.arg in ("additional_secret_outputs", "replace_on_changes"):
                key = "secretOutputs" if keyword.arg == "additional_secret_outputs" else "replaceOnChanges"
                facts[key] += ast.literal_eval(keyword.value)
        if getattr(node.func, "attr", "") == "secret" and node.args and isinstance(node.args[0], ast.Name):
            facts["secretInputs"].append(node.args[0].id)
    return {key: sorted({to_wire.get(name, name) for name in names}) for key, names in facts.items()}


def databricks_enums() -> dict[str, list[str]]:
    """The enumerations Databricks refuses other values of, from its own SDK."""
    from databricks.sdk.service.catalog import Privilege
    from databricks.sdk.service.iam import PermissionLevel

    return {"Privilege": sorted(each.value for each in Privilege), "PermissionLevel": sorted(each.value for each in PermissionLevel)}


def file_name(token: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", token) + ".json"


def write(package: str, directory: Path, wanted: list[str]) -> None:
    """Writes the description of each wanted type (all of them if none is named) into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for token in wanted or sorted(tokens(package)):
        _write(directory / file_name(token), describe(package, token))
    if package == "pulumi_databricks":
        _write(directory / "enums.json", databricks_enums())


def _write(file: Path, content: Any) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(content, separators=(",", ":")))
    draft.replace(file)


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
