"""The tables an update writes: made or brought to the planned columns before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from local_estate.spark.pipelines.errors import PipelineError

PIPELINE, GENERATION, KIND = "pipelines.pipelineId", "pipelines.generation", "pipelines.datasetType"
RESET_ALLOWED = "pipelines.reset.allowed"


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """`name` is quoted. A table keeps its rows while `reset` is false and its columns can be brought to `schema`."""

    name: str
    kind: str
    schema: StructType
    comment: str = ""
    properties: Mapping[str, str]
    partitioned_by: tuple[str, ...] = ()


class Tables:
    def __init__(self, spark: SparkSession, *, pipeline_id: str, update_id: str) -> None:
        self._spark = spark
        self._pipeline_id = pipeline_id
        self._update_id = update_id

    def ensure(self, spec: TableSpec, *, reset: bool) -> str:
        """Returns the table's generation: a name that changes whenever the table starts over, which its checkpoints carry.

        The table and its generation change in one commit, so no crash leaves old progress with an empty table or the other way round.
        """
        if not self._spark.catalog.tableExists(spec.name):
            return self._create(spec)
        held = {row["key"]: row["value"] for row in self._spark.sql(f"SHOW TBLPROPERTIES {spec.name}").collect()}
        if held.get(PIPELINE) != self._pipeline_id:
            owner = f"by pipeline {held[PIPELINE]}" if PIPELINE in held else "and is no table of a pipeline"
            raise PipelineError(f"table {spec.name} exists already {owner}; drop it or give the dataset another name")
        if held.get(KIND) != spec.kind:
            raise PipelineError(f"{spec.name} is a {held.get(KIND)} and would become a {spec.kind}; drop the table first")
        if reset and held.get(RESET_ALLOWED, spec.properties.get(RESET_ALLOWED, "true")).lower() != "false":
            return self.start_over(spec)
        before = self._spark.read.table(spec.name).schema
        if spec.kind == "MATERIALIZED_VIEW" and _types(before) != _types(spec.schema):
            return self.start_over(spec)
        self._evolve(spec, before)
        return str(held[GENERATION])

    def start_over(self, spec: TableSpec) -> str:
        """An empty table in a generation of this update. Readers see the rows of before or none, never a table that is gone."""
        if not all(each.nullable for each in spec.schema):
            self._spark.sql(f"DROP TABLE {spec.name}")  # what a query creates has no NOT NULL columns
            return self._create(spec)
        rows = self._spark.range(0).select(*[_empty(each) for each in spec.schema])
        writer = rows.writeTo(spec.name).using("delta")
        for key, value in (*self._properties(spec).items(), *((("comment", spec.comment),) if spec.comment else ())):
            writer = writer.tableProperty(key, value)
        if spec.partitioned_by:
            writer = writer.partitionedBy(*[F.col(f"`{name}`") for name in spec.partitioned_by])
        writer.createOrReplace()
        return self._update_id

    def _create(self, spec: TableSpec) -> str:
        statement = f"CREATE TABLE {spec.name} ({', '.join(_ddl(each) for each in spec.schema)}) USING DELTA"
        if spec.partitioned_by:
            statement += f" PARTITIONED BY ({', '.join(f'`{name}`' for name in spec.partitioned_by)})"
        if spec.comment:
            statement += f" COMMENT {_literal(spec.comment)}"
        pairs = ", ".join(f"{_literal(key)} = {_literal(value)}" for key, value in sorted(self._properties(spec).items()))
        self._spark.sql(f"{statement} TBLPROPERTIES ({pairs})")
        return self._update_id

    def _properties(self, spec: TableSpec) -> dict[str, str]:
        return {**spec.properties, PIPELINE: self._pipeline_id, GENERATION: self._update_id, KIND: spec.kind}

    def _evolve(self, spec: TableSpec, before: StructType) -> None:
        held = _types(before)
        changed = [f"{name} from {held[name]} to {kind}" for name, kind in _types(spec.schema).items() if held.get(name, kind) != kind]
        if changed:
            raise PipelineError(f"table {spec.name}: the type of {', '.join(changed)} would change; run a full refresh of it")
        if new := [each for each in spec.schema if each.name.lower() not in held]:
            added = ", ".join(_ddl(StructField(each.name, each.dataType)) for each in new)
            self._spark.sql(f"ALTER TABLE {spec.name} ADD COLUMNS ({added})")


def _types(schema: StructType) -> dict[str, str]:
    return {each.name.lower(): each.dataType.simpleString() for each in schema}


def _ddl(column: StructField) -> str:
    comment = column.metadata.get("comment")
    words = [f"`{column.name}`", column.dataType.simpleString(), "" if column.nullable else "NOT NULL"]
    return " ".join([*filter(None, words), *([f"COMMENT {_literal(comment)}"] if comment else [])])


def _empty(column: StructField) -> Column:
    return F.lit(None).cast(column.dataType).alias(column.name, metadata=column.metadata)


def _literal(text: Any) -> str:
    return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"
