"""What the pipeline is told by its configuration: the catalogs of its environment."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import SparkSession

SCHEMA = "telecom"
RUN_ID = "pipeline:telecom"  # Databricks tells a source file no id of the update


@dataclass(frozen=True, kw_only=True)
class Places:
    """Three-level names, so that one pipeline fills three layers."""

    raw: str
    curated: str
    marts: str

    def landing(self, system: str) -> str:
        return f"/Volumes/{self.raw}/{system}/landing/"

    def bronze(self, table: str) -> str:
        return f"{self.raw}.{SCHEMA}.{table}"

    def silver(self, table: str) -> str:
        return f"{self.curated}.{SCHEMA}.{table}"

    def gold(self, table: str) -> str:
        return f"{self.marts}.{SCHEMA}.{table}"


def places(spark: SparkSession) -> Places:
    return Places(**{layer: spark.conf.get(f"telecom.{layer}_catalog") for layer in ("raw", "curated", "marts")})
