"""Reads one ODCS file into a DatasetContract. Everything wrong with it is said with file and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import yaml
from open_data_contract_standard.model import (
    CustomProperty,
    DataQuality,
    OpenDataContractStandard,
    Role,
    SchemaProperty,
)
from pydantic import ValidationError

from lakehouse.contracts.dataset import Column, DatasetContract, Kind, Landing, Layer, QualityRule, Severity
from lakehouse.contracts.errors import ContractError
from lakehouse.contracts.platform_columns import platform_columns

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PHYSICAL_TYPE = re.compile(r"(STRING|DATE|TIMESTAMP|BOOLEAN|INT|BIGINT|DOUBLE|DECIMAL\(\d+,\d+\)|ARRAY<STRING>)")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_Word = TypeVar("_Word", Layer, Kind, Severity)

# The account groups of the estate; grants go to groups only.
GROUPS = (
    "data_engineering",
    "analyst_readers",
    "MT-dpm-data-eng",
    "MT-analyst-readers",
    "MT-ml-serving",
    "MT-ai-governance",
    "pii_readers",
)
# Names of the rules that lakehouse.quality.rules carries out (a test holds the two together; contracts import no engine).
RULES = frozenset(
    {"valid_values", "matches", "valid_email", "valid_phone", "not_in_future", "postcode_of_state", "not_before", "not_negative"}
)
_CUSTOM = {"layer", "kind", "source", "sequence", "landingFormat", "landingFilePrefix", "tableProperties"}


def read_document(text: str, *, file: str, system: str) -> DatasetContract:
    """`file` is how errors name the document, `system` the domains/ folder it lies in. Raises ContractError."""
    return _Document(text, file=file, system=system).dataset()


class _Document:
    def __init__(self, text: str, *, file: str, system: str) -> None:
        self.file = file
        self.system = system
        try:
            raw = yaml.load(text, Loader=_LOADER)  # noqa: S506 the C loader is a SafeLoader
        except yaml.YAMLError as error:
            raise ContractError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(raw, Mapping):
            raise self._wrong("", "is no mapping; a contract starts with apiVersion and kind")
        try:
            self.contract = OpenDataContractStandard.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            raise self._wrong(".".join(str(part) for part in first["loc"]), first["msg"]) from error
        # The models below the top level ignore unknown names, and a misspelt `requird` would silently loosen a contract.
        self._unknown_keys(raw, self.contract.model_dump(by_alias=True, exclude_unset=True), "")

    def _wrong(self, key: str, what: str) -> ContractError:
        return ContractError(f"{self.file}: {key}: {what}" if key else f"{self.file}: {what}")

    def _unknown_keys(self, raw: Any, known: Any, path: str) -> None:
        if isinstance(raw, Mapping) and isinstance(known, Mapping):
            for key, value in raw.items():
                here = f"{path}.{key}" if path else str(key)
                if key not in known:
                    raise self._wrong(here, "is no field of the Open Data Contract Standard")
                self._unknown_keys(value, known[key], here)
        elif isinstance(raw, list) and isinstance(known, list):
            for position, (item, other) in enumerate(zip(raw, known, strict=True)):
                self._unknown_keys(item, other, f"{path}.{position}")

    def dataset(self) -> DatasetContract:
        found = self.contract
        if found.kind != "DataContract" or not (found.apiVersion or "").startswith("v3."):
            raise self._wrong("apiVersion", f"must be v3.x of kind DataContract, is {found.apiVersion!r} of kind {found.kind!r}")
        if not _VERSION.fullmatch(found.version or ""):
            raise self._wrong("version", f"must be major.minor.patch, is {found.version!r}")
        if not found.schema_ or len(found.schema_) != 1:
            raise self._wrong("schema", "must hold exactly one table")
        table = found.schema_[0]
        custom = self._custom(found.customProperties or [])
        layer = self._one_of(Layer, custom.get("layer"), "customProperties.layer")
        kind = self._one_of(Kind, custom.get("kind"), "customProperties.kind")
        declared = [self._column(item, f"schema.0.properties.{position}") for position, item in enumerate(table.properties or [])]
        if not declared:
            raise self._wrong("schema.0.properties", "must declare at least one column")
        columns = (*declared, *platform_columns(kind))
        self._unique([column.name for column in columns])
        sequence = custom.get("sequence")
        if sequence and sequence not in {column.name for column in columns}:
            raise self._wrong("customProperties.sequence", f"names no column: {sequence!r}")
        readers, writers = self._groups(found.roles or [])
        landing = None
        if kind is Kind.BRONZE:
            landing = Landing(format=str(custom.get("landingFormat")), file_prefix=str(custom.get("landingFilePrefix")))
            if landing.format not in ("csv", "json"):
                raise self._wrong("customProperties.landingFormat", f"must be csv or json, is {landing.format!r}")
        partitions = sorted((p for p in table.properties or [] if p.partitioned), key=lambda p: p.partitionKeyPosition or 0)
        return DatasetContract(
            system=self.system,
            layer=layer,
            kind=kind,
            schema_name=self._name(found.domain, "domain"),
            table_name=self._name(table.physicalName or table.name, "schema.0.physicalName"),
            version=found.version or "",
            description=" ".join((table.description or "").split()),
            columns=columns,
            reader_groups=readers,
            writer_groups=writers,
            source=custom.get("source"),
            sequence=sequence,
            landing=landing,
            partitioned_by=tuple(item.name or "" for item in partitions),
            table_properties={str(key): str(value) for key, value in (custom.get("tableProperties") or {}).items()},
        )

    def _custom(self, properties: list[CustomProperty]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for position, item in enumerate(properties):
            if item.property not in _CUSTOM:
                known = ", ".join(sorted(_CUSTOM))
                raise self._wrong(f"customProperties.{position}.property", f"{item.property!r} is not one of ours: {known}")
            found[str(item.property)] = item.value
        return found

    def _one_of(self, kind: type[_Word], value: Any, key: str) -> _Word:
        try:
            return kind(value)
        except ValueError as error:
            raise self._wrong(key, f"{value!r} is not one of {', '.join(kind)}") from error

    def _name(self, value: str | None, key: str) -> str:
        if not value or not _NAME.fullmatch(value):
            raise self._wrong(key, f"{value!r} is no name of lower-case letters, digits and underscores")
        return value

    def _unique(self, names: list[str]) -> None:
        for name in names:
            if names.count(name) > 1:
                raise self._wrong("schema.0.properties", f"column {name!r} is declared twice, or is one the platform adds")

    def _column(self, item: SchemaProperty, key: str) -> Column:
        physical_type = (item.physicalType or "").upper()
        if not _PHYSICAL_TYPE.fullmatch(physical_type):
            raise self._wrong(
                f"{key}.physicalType", f"{item.physicalType!r} is no type we map; use e.g. STRING, DATE, TIMESTAMP, DECIMAL(10,2)"
            )
        sources = item.transformSourceObjects or []
        if len(sources) > 1:
            raise self._wrong(f"{key}.transformSourceObjects", "names more than one column; a derived column names none")
        return Column(
            name=self._name(item.name, f"{key}.name"),
            logical_type=item.logicalType or "string",
            physical_type=physical_type,
            required=bool(item.required),
            primary_key_position=(item.primaryKeyPosition or 1) if item.primaryKey else None,
            classification=item.classification or "internal",
            quality=tuple(self._rule(rule, f"{key}.quality.{position}") for position, rule in enumerate(item.quality or [])),
            description=" ".join((item.description or "").split()),
            source=sources[0] if sources else None,
        )

    def _rule(self, rule: DataQuality, key: str) -> QualityRule:
        """A library rule `invalidValues` with its allowed values, or one of our own by name (`type: custom, engine: lakehouse`)."""
        severity = self._one_of(Severity, rule.severity or "error", f"{key}.severity")
        arguments = dict(rule.arguments or {})
        if rule.type == "custom" and rule.engine == "lakehouse" and isinstance(rule.implementation, str):
            implementation = rule.implementation
        elif rule.type == "library" and rule.metric == "invalidValues" and isinstance(arguments.get("validValues"), list):
            implementation = "valid_values"
        else:
            raise self._wrong(key, "must be {type: custom, engine: lakehouse, implementation: …} or {type: library, metric: invalidValues}")
        if implementation not in RULES:
            near = difflib.get_close_matches(implementation, RULES, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise self._wrong(f"{key}.implementation", f"no rule is called {implementation!r}.{hint} There are {', '.join(sorted(RULES))}")
        return QualityRule(implementation=implementation, severity=severity, arguments=arguments, description=rule.description or "")

    def _groups(self, roles: list[Role]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        readers: list[str] = []
        writers: list[str] = []
        for position, role in enumerate(roles):
            if role.role not in GROUPS:
                raise self._wrong(f"roles.{position}.role", f"{role.role!r} is no account group; there are {', '.join(GROUPS)}")
            if role.access not in ("read", "write"):
                raise self._wrong(f"roles.{position}.access", f"must be read or write, is {role.access!r}")
            readers.append(role.role)
            if role.access == "write":
                writers.append(role.role)
        if not readers:
            raise self._wrong("roles", "must name at least one group, or nobody could read the table")
        return tuple(dict.fromkeys(readers)), tuple(dict.fromkeys(writers))
