"""`spark.readStream.format("cloudFiles")`: the reader's options go to the JVM's Auto Loader, which knows or refuses each."""

from __future__ import annotations

from typing import Any

_done = False


def teach_cloud_files() -> None:
    """Gives PySpark's DataStreamReader the format, once."""
    global _done
    if _done:
        return
    from pyspark.sql.streaming.readwriter import DataStreamReader

    _done = True
    plain = {name: getattr(DataStreamReader, name) for name in ("format", "option", "options", "schema", "load")}

    def format(self: Any, source: str) -> Any:
        self._estate_format = source
        return self if _is_cloud_files(source) else plain["format"](self, source)

    def option(self: Any, key: str, value: Any) -> Any:
        _remember(self, {key: value})
        return plain["option"](self, key, value)

    def options(self: Any, **given: Any) -> Any:
        _remember(self, given)
        return plain["options"](self, **given)

    def schema(self: Any, given: Any) -> Any:
        self._estate_schema = given if isinstance(given, str) else given.json()
        return plain["schema"](self, given)

    def load(self: Any, path: str | None = None, format: str | None = None, schema: Any = None, **given: Any) -> Any:
        if not _is_cloud_files(format or str(getattr(self, "_estate_format", ""))):
            return plain["load"](self, path, format, schema, **given)
        _remember(self, given)
        if schema is not None:
            self._estate_schema = schema if isinstance(schema, str) else schema.json()
        if not path or not path.strip():
            raise ValueError("cloudFiles needs the path of a directory: load('/Volumes/…')")
        jvm = self._spark._jvm
        asked = jvm.java.util.HashMap()
        for key, value in getattr(self, "_estate_options", {}).items():
            asked.put(key, value)
        frame = jvm.mt.estate.CloudFiles.load(self._spark._jsparkSession, asked, getattr(self, "_estate_schema", None), path)
        return self._df(frame)

    for name, taught in (("format", format), ("option", option), ("options", options), ("schema", schema), ("load", load)):
        setattr(DataStreamReader, name, taught)


def _is_cloud_files(source: str) -> bool:
    return source.lower() == "cloudfiles"


def _remember(reader: Any, given: dict[str, Any]) -> None:
    known = reader.__dict__.setdefault("_estate_options", {})
    for key, value in given.items():
        if value is not None:
            known[key] = str(value).lower() if isinstance(value, bool) else str(value)
