"""Chunks the knowledge documents into the table that the vector index is built from."""

from __future__ import annotations

from lakehouse import merge
from lakehouse.contracts import contract
from lakehouse.jobs.parameters import parse
from lakehouse.jobs.session import session
from lakehouse.rag.chunks import SUFFIXES, chunks, readable


def main() -> None:
    parameters = parse("rag_build_idx")
    spark = session()
    root = parameters.catalogs.documents()
    dataset = contract("knowledge.document_chunks")
    table = parameters.catalogs.table(dataset)
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(root)
    documents = readable(files)
    found = documents.selectExpr("path", "text IS NOT NULL AS readable").collect()
    # Also without a document: chunks of documents that were removed must go.
    merge.synchronise(chunks(documents, root), table, dataset.key, differs=merge.any_differs(["content_hash", "domain", "source_uri"]))
    for row in found:
        if not row["readable"]:
            print(f"left out {row['path']}: no UTF-8 text in {' or '.join(SUFFIXES)}")
    print(
        f"{table.dotted}: {sum(row['readable'] for row in found)} documents of {root} chunked"
        if found
        else f"no documents in {root}: nothing to chunk"
    )


if __name__ == "__main__":
    main()
