"""AUTO CDC: change events of any order into a table of today's rows (SCD type 1) or of every version (type 2).

What has been seen of a key is kept in a table of its own, deletions included, so that a late event falls between its neighbours and one
that arrives twice changes nothing: type 1 keeps the newest event of a key, type 2 all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StructField, StructType

from local_estate.spark.pipelines.declarations import AutoCdc
from local_estate.spark.pipelines.errors import PipelineError

START, END = "__START_AT", "__END_AT"
SEQUENCE, DELETED = "__sequence", "__deleted"
KEPT = "__kept"


def state_name(target: str) -> str:
    """The table that holds what was seen: beside the target, as Databricks names its own."""
    catalog, schema, table = target.split(".")
    return f"{catalog}.{schema}.__apply_changes_storage_{table}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A flow with the columns its source turned out to have. `target` and `state` are quoted names."""

    cdc: AutoCdc
    target: str
    state: str
    columns: tuple[str, ...]
    tracked: tuple[str, ...]

    @property
    def target_columns(self) -> tuple[str, ...]:
        return (*self.columns, START, END) if self.cdc.scd_type == 2 else self.columns


def plan(cdc: AutoCdc, source: DataFrame, *, target: str, state: str) -> Plan:
    """Raises PipelineError naming columns the source lacks."""
    available = source.columns
    asked = (*cdc.keys, *(cdc.column_list or ()), *cdc.except_column_list, *(cdc.track_history or ()), *cdc.track_history_except)
    if unknown := [name for name in dict.fromkeys(asked) if name not in available]:
        raise PipelineError(f"flow {cdc.name}: {cdc.source} has no column {', '.join(unknown)}; it has {', '.join(available)}")
    if taken := [name for name in (START, END, SEQUENCE, DELETED, KEPT) if name in available]:
        raise PipelineError(f"flow {cdc.name}: {cdc.source} has a column {taken[0]}, a name that AUTO CDC keeps for itself")
    columns = cdc.column_list or tuple(name for name in available if name not in cdc.except_column_list)
    if missing := [key for key in cdc.keys if key not in columns]:
        raise PipelineError(f"flow {cdc.name}: the key {', '.join(missing)} must be among the columns of {cdc.target}")
    rest = [name for name in columns if name not in cdc.keys]
    tracked = [name for name in rest if name in cdc.track_history] if cdc.track_history else rest
    return Plan(
        cdc=cdc,
        target=target,
        state=state,
        columns=tuple(columns),
        tracked=tuple(name for name in tracked if name not in cdc.track_history_except),
    )


def schemas(made: Plan, source: DataFrame) -> tuple[StructType, StructType]:
    """Of the target and of the state."""
    types = {each.name: each.dataType for each in source.schema}
    sequence = source.select(_expression(made.cdc.sequence_by)).schema[0].dataType
    if made.cdc.apply_as_deletes is not None:
        source.select(_expression(made.cdc.apply_as_deletes).cast("boolean"))  # Spark refuses it now, before anything runs
    fields = [StructField(name, types[name]) for name in made.columns]
    dates = [StructField(START, sequence), StructField(END, sequence)] if made.cdc.scd_type == 2 else []
    return StructType([*fields, *dates]), StructType([*fields, StructField(SEQUENCE, sequence), StructField(DELETED, BooleanType())])


def events(rows: DataFrame, made: Plan) -> DataFrame:
    """Source rows → state rows, one for each key and sequence. Of several at one sequence a deletion wins, then the greater content."""
    deleted = made.cdc.apply_as_deletes
    flagged = rows.withColumns(
        {
            SEQUENCE: _sequenced(_expression(made.cdc.sequence_by), made),
            DELETED: F.coalesce(_expression(deleted).cast("boolean"), F.lit(False)) if deleted is not None else F.lit(False),
        }
    )
    content = F.sha2(F.to_json(F.struct(*_quoted(made.columns))), 256)
    first = Window.partitionBy(*_quoted(made.cdc.keys), SEQUENCE).orderBy(F.desc(DELETED), F.desc("__content"))
    numbered = flagged.withColumn("__content", content).withColumn("__place", F.row_number().over(first))
    return numbered.where("__place = 1").select(*_quoted(made.columns), SEQUENCE, DELETED)


def _sequenced(sequence: Column, made: Plan) -> Column:
    said = f"[NULL_SEQUENCE] flow {made.cdc.name}: sequence_by is NULL for a row of {made.cdc.source}; drop such rows with an expectation"
    return F.when(sequence.isNull(), F.raise_error(F.lit(said))).otherwise(sequence)


def apply(batch: DataFrame, made: Plan) -> dict[str, int]:
    """One micro-batch into state and target; a second time it changes nothing. Returns what changed in the target."""
    changes = events(batch, made).persist()
    try:
        if made.cdc.scd_type == 1:
            newer = f"s.`{SEQUENCE}` > t.`{SEQUENCE}`"
            _merge(changes_latest(changes, made), made.state, made.cdc.keys, f"WHEN MATCHED AND {newer} THEN UPDATE SET *")
        else:
            _merge(changes, made.state, (*made.cdc.keys, SEQUENCE), "")
        keys = changes.select(*_quoted(made.cdc.keys)).distinct()
        seen = batch.sparkSession.read.table(made.state).alias("seen")
        same = [F.col(f"seen.`{key}`").eqNullSafe(F.col(f"touched.`{key}`")) for key in made.cdc.keys]
        touched = seen.join(F.broadcast(keys.alias("touched")), same, "left_semi")
        return _publish(touched, made)
    finally:
        changes.unpersist()


def changes_latest(changes: DataFrame, made: Plan) -> DataFrame:
    newest = Window.partitionBy(*_quoted(made.cdc.keys)).orderBy(F.desc(SEQUENCE))
    return changes.withColumn("__place", F.row_number().over(newest)).where("__place = 1").drop("__place")


def versions(seen: DataFrame, made: Plan) -> DataFrame:
    """All events of some keys → one row an event in the target's columns plus KEPT: false where the event begins no version."""
    in_time = Window.partitionBy(*_quoted(made.cdc.keys)).orderBy(SEQUENCE)
    tracked = F.sha2(F.to_json(F.struct(*_quoted(made.tracked))), 256) if made.tracked else F.lit("")
    marked = seen.withColumn("__tracked", tracked)
    repeats = (F.lag("__tracked").over(in_time) == F.col("__tracked")) & ~F.lag(DELETED).over(in_time)
    marked = marked.withColumn(KEPT, ~F.col(DELETED) & ~F.coalesce(repeats, F.lit(False)))
    edge = F.when(F.col(KEPT) | F.col(DELETED), F.col(SEQUENCE))
    following = in_time.rowsBetween(1, Window.unboundedFollowing)
    dated = marked.withColumns(
        {START: F.col(SEQUENCE), END: F.first(edge, ignorenulls=True).over(following), "__version": F.last(edge, True).over(in_time)}
    )
    # Columns without history take the last value that came during the version.
    plain = [name for name in made.columns if name not in made.tracked and name not in made.cdc.keys]
    if plain:
        whole = Window.partitionBy(*_quoted(made.cdc.keys), "__version").orderBy(SEQUENCE)
        latest = F.last(F.struct(*_quoted(plain))).over(whole.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing))
        dated = dated.withColumn("__latest", latest).withColumns({name: F.col(f"__latest.`{name}`") for name in plain})
    return dated.select(*_quoted(made.target_columns), KEPT)


def _publish(seen: DataFrame, made: Plan) -> dict[str, int]:
    columns = made.target_columns
    update = ", ".join(f"`{name}` = s.`{name}`" for name in columns)
    insert = f"({', '.join(f'`{name}`' for name in columns)}) VALUES ({', '.join(f's.`{name}`' for name in columns)})"
    same = " AND ".join(f"t.`{name}` <=> s.`{name}`" for name in columns)
    if made.cdc.scd_type == 1:
        rows, gone, key = seen, f"s.`{DELETED}`", made.cdc.keys
    else:
        rows, gone, key = versions(seen, made), f"NOT s.`{KEPT}`", (*made.cdc.keys, START)
    done = _merge(
        rows,
        made.target,
        key,
        f"WHEN MATCHED AND {gone} THEN DELETE WHEN MATCHED AND NOT ({same}) THEN UPDATE SET {update}",
        f"WHEN NOT MATCHED AND NOT ({gone}) THEN INSERT {insert}",
    )
    return {"num_upserted_rows": done["num_updated_rows"] + done["num_inserted_rows"], "num_deleted_rows": done["num_deleted_rows"]}


def _merge(
    rows: DataFrame, target: str, key: Sequence[str], matched: str, missing: str = "WHEN NOT MATCHED THEN INSERT *"
) -> dict[str, int]:
    same = " AND ".join(f"t.`{name}` <=> s.`{name}`" for name in key)
    statement = f"MERGE INTO {target} t USING {{source}} s ON {same} {matched} {missing}"
    return {name: int(value) for name, value in rows.sparkSession.sql(statement, source=rows).collect()[0].asDict().items()}


def _expression(given: Any) -> Column:
    return F.expr(given) if isinstance(given, str) else given


def _quoted(names: Sequence[str]) -> list[str]:
    return [f"`{name}`" for name in names]
