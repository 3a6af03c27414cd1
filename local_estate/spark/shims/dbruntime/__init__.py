"""What Databricks puts on every cluster, so that `from databricks.sdk.runtime import dbutils, spark` finds its objects."""

from __future__ import annotations

from typing import Any


class UserNamespaceInitializer:
    """`databricks.sdk.runtime` takes its globals from here."""

    @classmethod
    def getOrCreate(cls) -> UserNamespaceInitializer:
        return cls()

    def get_namespace_globals(self) -> dict[str, Any]:
        from local_estate.spark.task_runner import namespace

        return namespace()
