"""protobuf Structs of the Pulumi protocol as Python values: unknowns, secrets, assets, and integers that stay integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  the protocol's marker
_ASSET = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class _Unknown:
    """A value that a preview cannot know yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must stay encrypted in state. Its `repr` never shows it."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(…)"


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    return {name: _decode(value) for name, value in struct.fields.items()}


def _decode(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == _UNKNOWN else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode(each) for each in value.list_value.values]
    if kind != "struct_value":
        return None
    fields = {name: _decode(each) for name, each in value.struct_value.fields.items()}
    marker = fields.get(SIGNATURE)
    if marker == _SECRET:
        return Secret(fields.get("value"))
    if marker == _OUTPUT:
        inner = fields.get("value", UNKNOWN)
        return Secret(inner) if fields.get("secret") else inner
    if marker == _RESOURCE:
        return fields.get("id") or fields.get("urn")
    return fields  # assets and archives keep their marker


def encode(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    for name, value in values.items():
        struct.fields[name].CopyFrom(_encode(value))
    return struct


def _encode(value: Any) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN)
    if isinstance(value, Secret):
        return _encode({SIGNATURE: _SECRET, "value": value.value})
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=encode(value))
    if isinstance(value, (list, tuple)):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encode(each) for each in value]))
    raise TypeError(f"{type(value).__name__} cannot cross the Pulumi protocol")


def is_asset(value: Any) -> bool:
    return isinstance(value, dict) and value.get(SIGNATURE) in (_ASSET, _ARCHIVE)


def plain(value: Any) -> Any:
    """Without secret wrappers, at every depth; unknowns stay."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def any_of(value: Any, test: Callable[[Any], bool]) -> bool:
    """Whether the test holds anywhere inside, secret wrappers included."""
    if test(value):
        return True
    if isinstance(value, Secret):
        return any_of(value.value, test)
    if isinstance(value, dict):
        return any(any_of(each, test) for each in value.values())
    if isinstance(value, list):
        return any(any_of(each, test) for each in value)
    return False


def has_unknown(value: Any) -> bool:
    return any_of(value, lambda each: each is UNKNOWN)


def has_secret(value: Any) -> bool:
    return any_of(value, lambda each: isinstance(each, Secret))


def like_secrets_of(value: Any, model: Any) -> Any:
    """`value` with secrets wherever `model` has them. Where a list changed length, all of it becomes one."""
    if isinstance(value, Secret) or not has_secret(model):
        return value
    if isinstance(model, Secret) or type(value) is not type(model):
        return Secret(value)
    if isinstance(value, dict):
        return {name: like_secrets_of(each, model.get(name)) for name, each in value.items()}
    if len(value) != len(model):
        return Secret(value)
    return [like_secrets_of(each, other) for each, other in zip(value, model, strict=True)]
