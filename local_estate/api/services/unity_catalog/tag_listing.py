"""All tags of a catalog's tables at once, for `information_schema`: asked one table after the other they would cost a request each."""

from __future__ import annotations

from collections.abc import Iterator

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.routing import Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.unity_catalog.requests import reading
from local_estate.api.services.unity_catalog.securables import TAGS, Securable, Securables
from local_estate.api.services.unity_catalog.tags import values


def _list(call: Call) -> Document:
    """Rows of `information_schema.column_tags`, and of `table_tags` where `column_name` is empty: of tables that the caller sees."""
    authority = reading(call)
    catalog = authority.require_visible(Securable.CATALOG, str(call.required("catalog_name")).lower())
    tables = [table for table in authority.securables.all(Securable.TABLE, catalog["full_name"]) if authority.sees(table)]
    return {"tags": [row for table in tables for row in _rows(authority.securables, table)]}


def _rows(securables: Securables, table: Document) -> Iterator[Document]:
    named = {str(column["name"]).lower(): str(column["name"]) for column in table.get("columns", ())}
    for column, tags in sorted((securables.reader.get(TAGS, table["uid"]) or {}).items()):
        if column and column not in named:
            continue  # a column that was dropped
        for key, value in sorted(values(tags).items()):
            yield {
                "schema_name": table["schema_name"],
                "table_name": table["name"],
                "column_name": named.get(column, ""),
                "tag_name": key,
                "tag_value": value,
            }


ROUTES = (Route(method="GET", path="/api/estate/1.0/tags", handler=_list, level="executed"),)
