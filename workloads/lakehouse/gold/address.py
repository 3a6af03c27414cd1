"""dim_address: addresses in their parts, with the geography AMDM gives them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import contract
from lakehouse.gold.surrogate import surrogate_key
from lakehouse.schema import column_names
from lakehouse.silver.address_parts import NO, with_address_parts

_STANDARD = ("unit", "street_number", "street_name", "street_type", "street_suffix", "suburb", "state", "postcode")


def dim_address(addresses: DataFrame) -> DataFrame:
    """One row an address. Parts that the lines do not have are null; GCC and mesh block stay as they are."""
    parts = with_address_parts(addresses)
    # ABS codes: the digit of the state, then G for a greater capital city or R for the rest: 1GSYD, 1RNSW.
    region = F.when(F.col("gcc_cd").rlike("^[1-9]G"), "GREATER_CAPITAL").when(F.col("gcc_cd").rlike("^[1-9]R"), "REST_OF_STATE")
    return parts.withColumns(
        {
            "address_sk": surrogate_key("amdm_addr_id"),
            "standard_hash": F.when(F.col("parsed") != NO, F.sha2(F.to_json(F.struct(*_STANDARD)), 256)),
            "region": region,
        }
    ).select(*column_names(contract("customer.dim_address")))
