"""The file a pipeline's task runs: `update.py SPEC.json`, once for each update.

Sources are executed, the graph is planned with empty relations, tables are made, then the flows run one after the other in the order of
their inputs. A flow that fails leaves the ones behind it out; the others still run, and the update fails.
"""

from __future__ import annotations

import json
import runpy
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyspark import pipelines
from pyspark.pipelines.graph_element_registry import graph_element_registration_context
from pyspark.sql import SparkSession

from local_estate.spark.pipelines import declarations
from local_estate.spark.pipelines.errors import NotSupported, UpdateFailed
from local_estate.spark.pipelines.events import Events
from local_estate.spark.pipelines.flows import Execution
from local_estate.spark.pipelines.graph import Graph
from local_estate.spark.pipelines.planning import Planning
from local_estate.spark.pipelines.selection import Selection
from local_estate.spark.pipelines.tables import Tables


def run(specification: dict[str, Any], events: Events, globals_: dict[str, Any]) -> None:
    """Raises PipelineError for a pipeline that cannot be planned, UpdateFailed when flows failed."""
    events.update("INITIALIZING")
    spark = SparkSession.builder.getOrCreate()
    spark.sql(f"USE `{specification['catalog']}`.`{specification['schema']}`")
    # A query's progress is where its counts are; none may be forgotten before it is read.
    spark.conf.set("spark.sql.streaming.numRecentProgressUpdates", "100000")
    graph = Graph(catalog=specification["catalog"], schema=specification["schema"])
    _load(specification, graph, {**globals_, "spark": spark})
    selection = Selection.of(specification, graph)
    planning = Planning(spark, graph)
    planned = planning.all()
    for dataset in graph.datasets.values():
        columns = [{"name": each.name, "data_type": each.dataType.simpleString()} for each in planned.schemas[dataset.name]]
        events.dataset(dataset.name, dataset.kind, columns)
    for flow in planned.order:
        kind = graph.datasets[flow.target].kind
        kinds = {"STREAMING_TABLE": "STREAMING", "MATERIALIZED_VIEW": "MATERIALIZED_VIEW", "VIEW": "VIEW"}
        events.flow_definition(flow.name, flow.target, "AUTO_CDC" if flow.cdc else kinds[kind], list(planned.inputs[flow.name]))
    if specification["validate_only"]:
        return
    tables = Tables(spark, pipeline_id=specification["pipeline_id"], update_id=specification["update_id"])
    execution = Execution(
        spark=spark, graph=graph, planned=planned, reads=planning.reads, tables=tables, events=events, storage=specification["storage"]
    )
    if selection.resets:
        events.update("RESETTING")
    events.update("SETTING_UP_TABLES")
    execution.set_up(selection)
    events.update("RUNNING")
    if failed := execution.run(selection):
        raise UpdateFailed(f"{len(failed)} flow(s) failed: {', '.join(failed)}. The event log has each one's error.")


def _load(specification: dict[str, Any], graph: Graph, globals_: dict[str, Any]) -> None:
    declarations.teach(pipelines)
    if root := specification["root_path"]:
        sys.path.insert(0, root)
    with graph_element_registration_context(graph):
        for file in specification["files"]:
            if not file.endswith(".py"):
                raise NotSupported(f"pipeline sources that are no Python files ({Path(file).name})")
            runpy.run_path(file, init_globals=globals_, run_name="__pipeline__")
    graph.check()


def main() -> None:
    from local_estate.spark.task_runner import namespace

    specification = json.loads(Path(sys.argv[1]).read_text())
    events = Events(Path(specification["events"]))
    try:
        run(specification, events, namespace())
    finally:
        with suppress(OSError):
            sys.stdout.flush()


if __name__ == "__main__":
    main()
