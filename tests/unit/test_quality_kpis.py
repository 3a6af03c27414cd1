"""The acceptance figures: what is met, what is missed, and what nobody can say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts import Kind, contract, load_contracts, of_system
from lakehouse.contracts.monitors import Measure, Sense, monitor
from lakehouse.quality.kpis import Delay, Delivered, Kpi, MatchRate, Measured, Observed, Result, Window, kpis, missed, percentile
from lakehouse.quality.measures import Arrival, published_at, silver_inputs

CASES = contract("pega.case_silver")
END = datetime(2025, 6, 9, tzinfo=UTC)
WINDOW = Window(begin=END - timedelta(days=7), end=END)


def figures(observed: Observed | None) -> dict[str, Kpi]:
    watched = monitor(CASES)
    assert watched is not None
    seen = {CASES.name: observed} if observed else {}
    return {kpi.name: kpi for kpi in kpis([watched], Measured(window=WINDOW, observed=seen))}


def run(rows: int, held: int, name: str = "r") -> Delivered:
    return Delivered(run_id=name, rows_in=rows, rows_quarantined=held)


def test_what_is_watched_is_what_the_contract_promises() -> None:
    watched = monitor(CASES)
    assert watched is not None
    assert (watched.every, [str(threshold) for threshold in watched.thresholds]) == (
        timedelta(days=1),
        [
            "pass_rate_pct at least 99 (gate 97)",
            "error_rate_pct at most 3",
            "freshness_p95_seconds at most 3600",
            "rows_fewest at least 1",
            "rows_most at most 1e+07",
            "silence_seconds at most 90000",
        ],
    )


def test_every_dataset_that_promises_freshness_is_watched_and_operational_tables_are_not() -> None:
    for dataset in load_contracts():
        watched = monitor(dataset)
        measures = {threshold.measure for threshold in watched.thresholds} if watched else set()
        promised = dataset.objectives.freshness is not None and dataset.kind is not Kind.OPERATIONS
        assert (Measure.FRESHNESS in measures) is promised, dataset.name
    assert monitor(of_system("pega", Kind.QUARANTINE)) is None


def test_a_stream_is_watched_for_a_day_without_a_message() -> None:
    for name in ("sfdc.contact_event_silver", "sfdc.contact_interaction"):
        watched = monitor(contract(name))
        assert watched is not None
        assert "silence_seconds at most 86400" in [str(threshold) for threshold in watched.thresholds], name


def test_a_dataset_that_never_ran_meets_nothing() -> None:
    for kpi in figures(None).values():
        assert (kpi.value, kpi.result, kpi.note) == (None, Result.NOT_MEASURED, "never run"), kpi
    assert str(figures(None)["pass_rate_pct"]) == "pega.case_silver pass_rate_pct: not measured, never run, objective at least 99"


def test_a_small_delivery_has_a_size_and_no_rate() -> None:
    found = figures(Observed(delivered=[run(5, 1)], files=[5], delays=[Delay(rows=4, seconds=60)], last=END - timedelta(hours=3)))
    unmeasured = {name: kpi.note for name, kpi in found.items() if kpi.result is Result.NOT_MEASURED}
    assert unmeasured == {
        "pass_rate_pct": "5 rows, it takes 100",
        "error_rate_pct": "5 rows, it takes 100",
        "freshness_p95_seconds": "4 rows, it takes 20",
    }
    assert (found["rows_fewest"].value, found["rows_most"].value, found["silence_seconds"].value) == (5, 5, 3 * 3600)


def test_no_delivery_in_the_window_is_not_measured_but_its_silence_is_missed() -> None:
    found = figures(Observed(last=END - timedelta(days=9)))
    assert {name for name, kpi in found.items() if kpi.result is not Result.NOT_MEASURED} == {"silence_seconds"}
    assert found["silence_seconds"].result is Result.MISSED
    assert found["rows_fewest"].note == "no delivery"
    assert missed(found.values()) == [found["silence_seconds"]]


def test_the_pass_rate_is_of_all_rows_and_the_error_rate_of_the_worst_run() -> None:
    found = figures(Observed(delivered=[run(900, 0), run(100, 5, "tuesday"), run(3, 3)]))
    assert found["pass_rate_pct"].value == pytest.approx(100 * (1 - 8 / 1003))
    assert (found["error_rate_pct"].value, found["error_rate_pct"].note, found["error_rate_pct"].rows) == (5, "worst run tuesday", 1000)
    assert (found["pass_rate_pct"].result, found["error_rate_pct"].result) == (Result.MET, Result.MISSED)
    assert str(found["error_rate_pct"]) == "pega.case_silver error_rate_pct: 5 (missed), objective at most 3"


def test_a_pass_rate_is_met_below_its_target_or_below_its_gate() -> None:
    stood = {}
    for held in (10, 11, 30, 31):
        found = figures(Observed(delivered=[run(1000, held)]))["pass_rate_pct"]
        stood[held] = (found.result, found.standing)
        assert (found in missed([found])) is (found.result is not Result.MET)
    assert stood == {
        10: (Result.MET, "met"),
        11: (Result.BELOW_TARGET, "below the target 99, above the gate 97"),
        30: (Result.BELOW_TARGET, "below the target 99, above the gate 97"),
        31: (Result.MISSED, "below the gate 97"),
    }
    assert str(found) == "pega.case_silver pass_rate_pct: 96.9 (below the gate 97), objective at least 99"


def test_a_figure_on_its_objective_meets_it() -> None:
    found = figures(Observed(delivered=[run(100, 1)], delays=[Delay(rows=100, seconds=3600)]))
    assert [found[name].result for name in ("pass_rate_pct", "freshness_p95_seconds")] == [Result.MET, Result.MET]


def test_freshness_that_nothing_measures_says_so() -> None:
    found = figures(Observed(delays=None))["freshness_p95_seconds"]
    assert (found.result, found.note) == (Result.NOT_MEASURED, "nothing measures it for this kind of dataset")


def test_the_percentile_is_by_rows_and_not_by_deliveries() -> None:
    assert percentile([Delay(rows=1, seconds=9999), Delay(rows=999, seconds=60)]) == 60
    assert percentile([Delay(rows=100, seconds=9999), Delay(rows=900, seconds=60)]) == 9999


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 1000)), min_size=1, max_size=20))
def test_ninety_five_percent_of_rows_are_within_the_percentile_and_fewer_within_any_less(pairs: list[tuple[int, int]]) -> None:
    delays = [Delay(rows=rows, seconds=seconds) for rows, seconds in pairs]
    found, rows = percentile(delays), sum(delay.rows for delay in delays)
    assert sum(delay.rows for delay in delays if delay.seconds <= found) >= 0.95 * rows
    assert sum(delay.rows for delay in delays if delay.seconds < found) < 0.95 * rows


def test_rows_that_wait_count_with_the_time_they_have_waited() -> None:
    assert Arrival(rows=3, landed=100, readable=160).delay(now=1000) == Delay(rows=3, seconds=60)
    assert Arrival(rows=3, landed=100, readable=None).delay(now=1000) == Delay(rows=3, seconds=900)


def test_rows_are_in_the_marts_with_the_first_run_that_began_once_silver_had_them() -> None:
    arrival = Arrival(rows=1, landed=0, readable=100)
    assert published_at(arrival, [(50, 110), (100, 130), (200, 220)]).readable == 130
    assert published_at(arrival, [(99, 300)]).readable is None
    assert published_at(Arrival(rows=1, landed=0, readable=None), [(0, 10)]).readable is None


def test_a_mart_waits_for_every_silver_table_it_is_made_from_through_others_too() -> None:
    assert silver_inputs(contract("operations.case_metrics")) == ["pega.case_silver"]
    assert silver_inputs(contract("customer.dim_customer_scd2")) == ["cmdm.customer_silver"]


def test_a_match_rate_without_rows_is_not_measured() -> None:
    rates = [
        MatchRate(dataset=CASES, join="to_customer", rows=0, match_pct=None, objective=99),
        MatchRate(dataset=CASES, join="to_service", rows=10, match_pct=94.9, objective=95),
    ]
    found = kpis([], Measured(window=WINDOW, match_rates=rates))
    assert [(kpi.name, kpi.result, kpi.sense) for kpi in found] == [
        ("match_pct.to_customer", Result.NOT_MEASURED, Sense.AT_LEAST),
        ("match_pct.to_service", Result.MISSED, Sense.AT_LEAST),
    ]
