"""Days of data through the jobs the stack exports."""

from __future__ import annotations

from local_estate.day.run import StepResult
from tests.estate.conftest import Deployed


def test_every_step_of_day_one_succeeds(day_one: list[StepResult]) -> None:
    assert [result.result for result in day_one] == ["SUCCESS"] * len(day_one)
    assert {result.step.job for result in day_one} == {"migrate", "bronze_autoloader", "silver_standardize", "gold_marts", "quality_kpis"}


def test_day_one_again_leaves_every_count(deployed: Deployed, day_one: list[StepResult]) -> None:
    growing = ("batch_accounting", "quality_kpis")  # every run measures anew
    before = {name: rows for name, rows in deployed.counts().items() if not name.endswith(growing)}
    assert sum(rows or 0 for rows in before.values()) > 2_000
    deployed.run_day(1)
    assert {name: rows for name, rows in deployed.counts().items() if not name.endswith(growing)} == before
