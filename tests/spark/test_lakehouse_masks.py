"""What the masks of sql/functions leave of personal data, on a real Spark session: values from hypothesis, many in one query."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from infra.databricks.sql_functions import function_files
from tests.spark.lakehouse_fixtures import spark

__all__ = ["spark"]
CATALOGS = {layer: f"ep_{layer}" for layer in ("raw", "curated", "marts", "ai")}
HIDDEN = "***"
FILES = {file.name: file for file in function_files()}
few = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)
emails = st.one_of(
    st.emails(),
    st.builds(
        "{}@{}".format, texts, st.sampled_from(["x.com", "Mail.Example.AU", "localhost", "", "a@b.com", "x.com\n", "ünï.com", ".com"])
    ),
    texts,
)


def _body(name: str) -> str:
    """The expression after RETURN, which is what Spark puts in place of a call."""
    return re.split(r"\nRETURN ", FILES[name].statement(CATALOGS), maxsplit=1)[1]


def _masked(spark: SparkSession, name: str, values: list[object]) -> list[object]:
    return _by_mask(spark, [name], values)[name]


def _by_mask(spark: SparkSession, names: Sequence[str], values: list[object]) -> dict[str, list[object]]:
    """What each mask leaves of the values, in one query. They travel as one literal: rows from Python would need a Python worker."""
    schema = "array<array<string>>" if all("array" in name for name in names) else "array<string>"
    rows = F.posexplode(F.from_json(F.lit(json.dumps(values)), schema)).alias("position", "value")
    masked = spark.range(1).select(rows).select("position", *[F.expr(_body(name)).alias(name) for name in names])
    found = masked.sort("position").collect()
    return {name: [row[name] for row in found] for name in names}


@given(values=st.lists(texts, min_size=50, max_size=200))
@few
def test_nothing_is_left_but_whether_there_is_a_value(spark: SparkSession, values: list[str]) -> None:
    found = _by_mask(spark, ["mask_name", "mask_phone", "mask_address", "mask_hash", "mask_text"], [*values, "", None])
    expected = [HIDDEN] * (len(values) + 1) + [None]
    assert {name: masked for name, masked in found.items() if masked != expected} == {}


@given(values=st.lists(st.none() | st.lists(st.none() | texts, max_size=4), min_size=50, max_size=200))
@few
def test_a_list_keeps_its_length_and_nothing_else(spark: SparkSession, values: list[list[str | None] | None]) -> None:
    expected = [None if value is None else [None if each is None else HIDDEN for each in value] for value in values]
    assert _masked(spark, "mask_text_array_string", list(values)) == expected


@given(values=st.lists(emails, min_size=50, max_size=200))
@few
def test_an_email_keeps_its_domain_at_most(spark: SparkSession, values: list[str]) -> None:
    for value, masked in zip(values, _masked(spark, "mask_email", list(values)), strict=True):
        assert isinstance(masked, str)
        found = re.fullmatch(r"\*\*\*(@([a-z0-9-]+(?:\.[a-z0-9-]+)+))?", masked)
        assert found, (value, masked)
        if found[2]:
            local, _, domain = value.rstrip("\n").rpartition("@")
            assert (domain.lower(), "@" in local) == (found[2], False), value


def test_short_and_odd_addresses_leak_no_local_part(spark: SparkSession) -> None:
    values = ["a@x.com", "ab@X.Com", "@x.com", "a@", "a@x", "a@b@x.com", '"a@b"@x.com', "", "john smith", None, "a@x.com.", "a@x.com\n"]
    assert _masked(spark, "mask_email", list(values)) == [
        *("***@x.com", "***@x.com", HIDDEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN, None, HIDDEN, "***@x.com"),
    ]
