"""Where datasets live in an environment: catalogs, table names, volumes."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.contracts import DatasetContract, Layer


@dataclass(frozen=True, kw_only=True, order=True)
class TableName:
    """A three-level name; `str()` quotes each part for SQL."""

    catalog: str
    schema: str
    table: str

    def __str__(self) -> str:
        return ".".join(f"`{part.replace('`', '``')}`" for part in (self.catalog, self.schema, self.table))

    @property
    def dotted(self) -> str:
        """Without quotes, as DataFrame readers and people write it."""
        return f"{self.catalog}.{self.schema}.{self.table}"


@dataclass(frozen=True, kw_only=True)
class Catalogs:
    """The catalogs of one environment, by layer."""

    raw: str
    curated: str
    marts: str
    ai: str

    @property
    def prefix(self) -> str:
        """What stands before the names of all four, `dev_` of `dev_ep_raw`. Names that are one for the account carry it, too.

        Raises ValueError where the names are others, for tags under a key of nobody's would hide nothing.
        """
        if not self.raw.endswith("ep_raw"):
            raise ValueError(
                f"catalog {self.raw} is not named <prefix>ep_raw, so that the keys of its tags are unknown. Fix: --raw_catalog"
            )
        return self.raw.removesuffix("ep_raw")

    def of(self, layer: Layer) -> str:
        return {Layer.RAW: self.raw, Layer.CURATED: self.curated, Layer.MARTS: self.marts, Layer.AI: self.ai}[layer]

    def table(self, dataset: DatasetContract) -> TableName:
        return TableName(catalog=self.of(dataset.layer), schema=dataset.schema_name, table=dataset.table_name)

    def landing(self, system: str) -> str:
        """The volume folder a source system delivers into."""
        return f"/Volumes/{self.raw}/{system}/landing/"

    def checkpoint(self, dataset: DatasetContract) -> str:
        """Progress of the stream that fills a table. Schema and table, for table names repeat across schemas."""
        return f"/Volumes/{self.raw}/platform/checkpoints/{dataset.schema_name}.{dataset.table_name}/"

    def documents(self) -> str:
        return f"/Volumes/{self.ai}/knowledge/documents/"
