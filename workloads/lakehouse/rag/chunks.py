"""Knowledge documents → chunks with stable ids."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.schema import column_names

CHUNK_CHARACTERS = 1200
OVERLAP_CHARACTERS = 200
SUFFIXES = (".md", ".txt")


def readable(documents: DataFrame) -> DataFrame:
    """`path, modificationTime, content` of files → the same with `text`: null where a file is no text document in UTF-8."""
    known = F.lit(False)
    for suffix in SUFFIXES:
        known = known | F.lower("path").endswith(suffix)
    text = F.try_validate_utf8(F.col("content").cast("string"))
    return documents.withColumn("text", F.when(known, text)).drop("content")


def chunks(documents: DataFrame, root: str) -> DataFrame:
    """Readable documents → their chunks, in the columns of the contract. `root` is the documents volume; its first folder is the domain.

    Windows of fixed size that overlap: a chunk's id is of document and position, so an edit changes the chunks it touches, not all ids.
    """
    step = CHUNK_CHARACTERS - OVERLAP_CHARACTERS
    last = F.greatest(F.lit(0), F.ceil((F.length("text") - OVERLAP_CHARACTERS) / step) - 1).cast("int")
    below = F.regexp_extract("path", rf"{root.rstrip('/')}/(.*)$", 1)
    spread = documents.where("length(trim(text)) > 0").withColumn("position", F.explode(F.sequence(F.lit(0), last)))
    cut = spread.withColumns(
        {
            "source_uri": F.col("path"),
            "domain": F.when(below.contains("/"), F.lower(F.split_part(below, F.lit("/"), F.lit(1)))).otherwise(F.lit("general")),
            "chunk": F.substring(F.col("text"), F.col("position") * step + 1, F.lit(CHUNK_CHARACTERS)),
            "document_modified_ts": F.col("modificationTime"),
        }
    )
    identified = cut.withColumns(
        {"chunk_id": F.sha2(F.to_json(F.struct("source_uri", "position")), 256), "content_hash": F.sha2(F.col("chunk"), 256)}
    )
    return identified.select(*column_names(contract("knowledge.document_chunks")))
