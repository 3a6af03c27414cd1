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
    Team,
)
from pydantic import ValidationError

from lakehouse.contracts.dataset import (
    Classification,
    Column,
    DatasetContract,
    Kind,
    Landing,
    Layer,
    Pii,
    QualityRule,
    RowFilter,
    Severity,
    Topic,
)
from lakehouse.contracts.errors import ContractError
from lakehouse.contracts.objectives import read_objectives
from lakehouse.contracts.platform_columns import platform_columns

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PHYSICAL_TYPE = re.compile(r"(STRING|DATE|TIMESTAMP|BOOLEAN|INT|BIGINT|DOUBLE|DECIMAL\(\d+,\d+\)|ARRAY<STRING>)")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_STATUS = ("proposed", "draft", "active", "deprecated", "retired")
_Word = TypeVar("_Word", Layer, Kind, Severity, Classification, Pii, RowFilter)

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
_CUSTOM = {
    "layer",
    "kind",
    "source",
    "alsoReads",
    "consumers",
    "sequence",
    "landingFormat",
    "landingFilePrefix",
    "messageKey",
    "tableProperties",
}
# Which argument of a rule names another column of the dataset.
_COLUMN_ARGUMENTS = {"not_before": ("column", ""), "postcode_of_state": ("state", "state")}


def read_document(text: str, *, file: str, system: str) -> DatasetContract:
    """`file` is how errors name the document, `system` the domains/ folder it lies in. Raises ContractError."""
    return _Document(text, file=file, system=system).dataset()


class _Document:
    def __init__(self, text: str, *, file: str, system: str) -> None:
        self.file = file
        self.system = system
        self.owner = ""
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
        if found.status not in _STATUS:
            raise self._wrong("status", f"must be one of {', '.join(_STATUS)}, is {found.status!r}")
        table = found.schema_[0]
        self.owner = self._owner()
        custom = self._custom(found.customProperties or [])
        layer = self._one_of(Layer, custom.get("layer"), "customProperties.layer")
        kind = self._one_of(Kind, custom.get("kind"), "customProperties.kind")
        declared = [self._column(item, f"schema.0.properties.{position}") for position, item in enumerate(table.properties or [])]
        if not declared:
            raise self._wrong("schema.0.properties", "must declare at least one column")
        columns = (*declared, *platform_columns(kind))
        self._unique([column.name for column in columns])
        self._known_columns(columns)
        self._one_filter(columns)
        sequence = custom.get("sequence")
        if sequence and sequence not in {column.name for column in columns}:
            raise self._wrong("customProperties.sequence", f"names no column: {sequence!r}")
        readers, writers = self._groups(found.roles or [])
        landing = None
        if kind is Kind.BRONZE:
            landing = Landing(format=str(custom.get("landingFormat")), file_prefix=str(custom.get("landingFilePrefix")))
            if landing.format not in ("csv", "json"):
                raise self._wrong("customProperties.landingFormat", f"must be csv or json, is {landing.format!r}")
        topic = None
        if kind is Kind.TOPIC:
            topic = self._topic(table.physicalName, custom.get("messageKey"), columns)
        partitions = sorted((p for p in table.properties or [] if p.partitioned), key=lambda p: p.partitionKeyPosition or 0)
        return DatasetContract(
            system=self.system,
            layer=layer,
            kind=kind,
            schema_name=self._name(found.domain, "domain"),
            # A topic's own name may hold dots and dashes, so that its dataset goes by the name of the schema object.
            table_name=self._name(table.name if topic else table.physicalName or table.name, "schema.0.physicalName"),
            version=found.version or "",
            description=" ".join((table.description or "").split()),
            columns=columns,
            reader_groups=readers,
            writer_groups=writers,
            file=self.file,
            status=found.status,
            owner=self.owner,
            source=custom.get("source"),
            also_reads=self._names(custom, "alsoReads"),
            consumers=self._names(custom, "consumers"),
            objectives=read_objectives(found.slaProperties or [], self._wrong),
            sequence=sequence,
            landing=landing,
            topic=topic,
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

    def _owner(self) -> str:
        """The team that repairs what is wrong with the data; empty where the contract names none, which `make contracts` refuses."""
        return (self.contract.team.name or "") if isinstance(self.contract.team, Team) else ""

    def _names(self, custom: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = custom.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self._wrong(f"customProperties.{key}", f"must be a list of names, is {value!r}")
        return tuple(value)

    def _topic(self, name: str | None, key: Any, columns: tuple[Column, ...]) -> Topic:
        if not name or not _TOPIC.fullmatch(name):
            raise self._wrong("schema.0.physicalName", f"{name!r} is no name of a Kafka topic")
        if key not in {column.name for column in columns}:
            raise self._wrong("customProperties.messageKey", f"names no column: {key!r}")
        return Topic(name=name, key=str(key))

    def _known_columns(self, columns: tuple[Column, ...]) -> None:
        """A rule that compares with another column names one that is there."""
        names = {column.name for column in columns}
        for column in columns:
            for position, rule in enumerate(column.quality):
                argument, otherwise = _COLUMN_ARGUMENTS.get(rule.implementation, ("", ""))
                if argument and (other := rule.arguments.get(argument, otherwise)) not in names:
                    raise self._wrong(
                        f"schema.0.properties.{column.name}.quality.{position}.arguments.{argument}",
                        f"{rule.implementation} names no column: {other!r}",
                    )

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
        references = [relation.to for relation in item.relationships or []]
        if not all(isinstance(to, str) and to.count(".") == 2 for to in references):
            raise self._wrong(f"{key}.relationships", "each needs `to: schema.table.column`")
        classification = self._one_of(Classification, item.classification or "internal", f"{key}.classification")
        return Column(
            name=self._name(item.name, f"{key}.name"),
            logical_type=item.logicalType or "string",
            physical_type=physical_type,
            required=bool(item.required),
            primary_key_position=(item.primaryKeyPosition or 1) if item.primaryKey else None,
            classification=classification,
            pii=self._pii(item, key) if classification is Classification.PII else None,
            row_filter=self._row_filter(item, key),
            quality=tuple(self._rule(rule, f"{key}.quality.{position}") for position, rule in enumerate(item.quality or [])),
            description=" ".join((item.description or "").split()),
            transformation=" ".join((item.transformDescription or "").split()),
            source=sources[0] if sources else None,
            references=tuple(str(to) for to in references),
        )

    def _pii(self, item: SchemaProperty, key: str) -> Pii:
        kinds = [tag.removeprefix("pii:") for tag in item.tags or [] if tag.startswith("pii:")]
        if len(kinds) > 1:
            raise self._wrong(f"{key}.tags", "names more than one kind of pii; a value is masked one way")
        return self._one_of(Pii, kinds[0], f"{key}.tags") if kinds else Pii.TEXT

    def _row_filter(self, item: SchemaProperty, key: str) -> RowFilter | None:
        custom = {str(entry.property): entry.value for entry in item.customProperties or []}
        if unknown := set(custom) - {"rowFilter"}:
            raise self._wrong(f"{key}.customProperties", f"{sorted(unknown)[0]!r} is not one of ours: rowFilter")
        return self._one_of(RowFilter, custom["rowFilter"], f"{key}.customProperties.rowFilter") if custom else None

    def _one_filter(self, columns: tuple[Column, ...]) -> None:
        """Databricks reads no table to which two row filters apply."""
        filtered = [column.name for column in columns if column.row_filter]
        if len(filtered) > 1:
            raise self._wrong("schema.0.properties", f"{' and '.join(filtered)} both have a rowFilter; a table has one at most")

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
        custom = {str(entry.property): str(entry.value) for entry in rule.customProperties or []}
        if unknown := set(custom) - {"owner"}:
            raise self._wrong(f"{key}.customProperties", f"{sorted(unknown)[0]!r} is not one of ours: owner")
        return QualityRule(
            implementation=implementation,
            severity=severity,
            arguments=arguments,
            description=rule.description or "",
            owner=custom.get("owner", self.owner),
        )

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
