"""Columns the platform adds to what the owner declares. Their names start with `_` in silver, so that no owner's name collides."""

from __future__ import annotations

from lakehouse.contracts.dataset import Classification, Column, Kind, Pii


def _column(
    name: str, physical_type: str, description: str, *, required: bool = False, key: int | None = None, pii: bool = False
) -> Column:
    logical = {"STRING": "string", "TIMESTAMP": "timestamp", "BIGINT": "integer", "INT": "integer"}.get(physical_type, "array")
    return Column(
        name=name,
        logical_type=logical,
        physical_type=physical_type,
        required=required,
        primary_key_position=key,
        classification=Classification.PII if pii else Classification.INTERNAL,
        pii=Pii.TEXT if pii else None,
        description=description,
        platform=True,
    )


RESCUED = "_rescued_data"
CORRUPT = "_corrupt_record"

_BRONZE = (
    _column(RESCUED, "STRING", "JSON of what the file had and the contract has not", pii=True),
    _column(CORRUPT, "STRING", "The line as it came, where it could not be parsed", pii=True),
    _column("source_file", "STRING", "Landing file the row came from"),
    _column("ingest_ts", "TIMESTAMP", "When bronze took the row in"),
    _column("run_id", "STRING", "Run that took the row in"),
    _column("landed_ts", "TIMESTAMP", "When the landing file arrived: its last modification"),
)
_SILVER = (
    _column("_row_hash", "STRING", "SHA-256 over the typed, standardised columns", required=True),
    _column("_warnings", "ARRAY<STRING>", "Rules of severity warning that the row breaks"),
    _column("_source_file", "STRING", "Landing file the row came from"),
    _column("_ingest_ts", "TIMESTAMP", "When bronze took the row in"),
    _column("_run_id", "STRING", "Run that wrote the row"),
)
QUARANTINE = (
    _column("quarantine_id", "STRING", "Stable id: of file, payload and occurrence", required=True, key=1),
    _column("kind", "STRING", "row, or file where a whole file could not be read", required=True),
    _column("dataset", "STRING", "Dataset whose contract the row breaks", required=True),
    _column("payload", "STRING", "The row as bronze holds it, as JSON", pii=True),
    _column("errors", "ARRAY<STRING>", "Every reason, `column: what is wrong`", required=True, pii=True),
    _column("source_file", "STRING", "Landing file the row came from"),
    _column("ingest_ts", "TIMESTAMP", "When bronze took the row in"),
    _column("run_id", "STRING", "Run that put the row here"),
    _column("quarantined_ts", "TIMESTAMP", "When the row was put here"),
    _column("released_ts", "TIMESTAMP", "When a replay or a backfill found that the row keeps its contract now; null while it is held"),
    _column("released_run_id", "STRING", "Replay or backfill that released it"),
    _column("released_as", "STRING", "What became of it then: written, duplicate or superseded by a replay, derived by a backfill"),
)
# Two versions may be of one business time: the key tells them apart by what they say.
_HISTORY = (_column("_row_hash", "STRING", "SHA-256 over the typed, standardised columns", required=True, key=99), *_SILVER[1:])
_STREAM = (
    _column("_warnings", "ARRAY<STRING>", "Rules of severity warning that the row breaks"),
    _column("_processed_ts", "TIMESTAMP", "When the batch that holds the row was written", required=True),
    _column("_run_id", "STRING", "Run that wrote the row"),
)
DEAD_LETTER = (
    _column("dead_letter_id", "STRING", "Stable id: of topic, partition, offset, time and value", required=True, key=1),
    _column("topic", "STRING", "Kafka topic", required=True),
    _column("partition", "INT", "Partition of the topic", required=True),
    _column("offset", "BIGINT", "Offset in the partition", required=True),
    _column("produced_ts", "TIMESTAMP", "Time of the message in Kafka", required=True),
    _column("message_key", "STRING", "Key of the message, encoded as its value", pii=True),
    _column("value", "STRING", "Value of the message as it came, null where it had none", pii=True),
    _column("encoding", "STRING", "utf-8, or base64 where the bytes are no text", required=True),
    _column("errors", "ARRAY<STRING>", "Every reason, `column: what is wrong`", required=True, pii=True),
    _column("run_id", "STRING", "Run that put the message here"),
    _column("dead_lettered_ts", "TIMESTAMP", "When the message was put here"),
)


def platform_columns(kind: Kind) -> tuple[Column, ...]:
    """What every table of a kind carries besides its declared columns."""
    columns = {
        Kind.BRONZE: _BRONZE,
        Kind.SILVER: _SILVER,
        Kind.HISTORY: _HISTORY,
        Kind.QUARANTINE: QUARANTINE,
        Kind.STREAM: _STREAM,
        Kind.DEAD_LETTER: DEAD_LETTER,
    }
    return columns.get(kind, ())
