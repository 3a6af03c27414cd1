"""How the jobs wait for their streams, under governance: the run's principal reads the checkpoint through its volume."""

from __future__ import annotations

from tests.spark.conftest import DataPlane

COPY = """
from lakehouse.jobs.session import session
from lakehouse.jobs.streams import begin, finish

spark = session()
checkpoint, what = f"{V}/checkpoints/copy", f"{S}.copy"
stream = spark.readStream.table(f"{S}.source").writeStream.option("checkpointLocation", checkpoint).trigger(availableNow=True)
print("rows", finish(spark, begin(spark, lambda: stream.toTable(what), what=what), checkpoint, what=what))
"""


def test_a_stream_is_waited_for_by_its_checkpoint_in_a_volume(plane: DataPlane) -> None:
    plane.sql("alice", "CREATE TABLE {s}.source AS SELECT id FROM range(3)")
    assert plane.succeed("alice", COPY).splitlines()[-1] == "rows 3"
    assert plane.succeed("alice", COPY).splitlines()[-1] == "rows 0"
