"""What the runner makes of a source's declarations, and of the requests around it: no Spark needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyspark import pipelines
from pyspark.pipelines.graph_element_registry import graph_element_registration_context

from local_estate.api.kernel.errors import ApiError
from local_estate.api.services.pipelines.events import matching
from local_estate.spark.pipelines import declarations
from local_estate.spark.pipelines.errors import NotSupported, PipelineError
from local_estate.spark.pipelines.graph import Graph
from local_estate.spark.pipelines.selection import Selection

dp: Any = pipelines


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    for name in ("create_streaming_table", "create_auto_cdc_flow", "create_sink"):
        monkeypatch.setattr(dp, name, getattr(dp, name))  # what teach() changes is put back
    declarations.teach(pipelines)
    made = Graph(catalog="C", schema="S")
    with graph_element_registration_context(made):
        yield made


def query() -> Any:
    return None


def test_names_are_completed_and_datasets_found_by_any_of_them(graph: Graph) -> None:
    dp.table(name="Orders")(query)
    dp.materialized_view(name="other.s2.totals")(query)
    assert set(graph.datasets) == {"c.s.orders", "other.s2.totals"}
    for name in ("orders", "`S`.`orders`", "c.s.ORDERS"):
        assert graph.get(name).kind == "STREAMING_TABLE"
    assert graph.find("elsewhere.s.orders") is None


def test_expectations_keep_their_order_and_their_action(graph: Graph) -> None:
    dp.table(name="t")(dp.expect("a", "x")(dp.expect_or_drop("b", "y")(dp.expect_all_or_fail({"c": "z"})(lambda: None))))
    assert [(each.name, each.action) for each in graph.get("t").expectations] == [("a", "keep"), ("b", "drop"), ("c", "fail")]
    dp.create_streaming_table("u", expect_all_or_drop={"d": "x"})
    assert [(each.name, each.action) for each in graph.get("u").expectations] == [("d", "drop")]


def test_an_expectation_above_the_dataset_is_told_where_it_belongs(graph: Graph) -> None:
    with pytest.raises(PipelineError, match=r"put @dp\.expect… below @dp\.table"):
        dp.expect("a", "x")(dp.table(name="t")(query))
    with pytest.raises(PipelineError, match=r"dataset c\.s\.v declares the expectation a twice"):
        dp.table(name="v")(dp.expect("a", "x")(dp.expect("a", "y")(lambda: None)))


def test_an_append_flow_has_no_expectations_of_its_own(graph: Graph) -> None:
    dp.create_streaming_table("t")
    with pytest.raises(PipelineError, match="flow more: expectations belong to its target"):
        dp.append_flow(target="t", name="more")(dp.expect("a", "x")(lambda: None))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"ignore_null_updates": True}, r"does not support ignore_null_updates of create_auto_cdc_flow \(flow t\)"),
        ({"apply_as_truncates": "op = 'T'"}, "does not support apply_as_truncates of create_auto_cdc_flow"),
        ({"invented": 1}, "does not support invented of create_auto_cdc_flow"),
        ({"stored_as_scd_type": 3}, "stored_as_scd_type is 3, must be 1 or 2"),
        ({"keys": []}, "needs at least one key"),
        ({"column_list": ["a"], "except_column_list": ["b"]}, "give column_list or except_column_list, not both"),
        ({"track_history_column_list": ["a"]}, "history is tracked with stored_as_scd_type=2 only"),
    ],
)
def test_auto_cdc_refuses_what_it_cannot_do(graph: Graph, named: dict[str, Any], said: str) -> None:
    with pytest.raises((NotSupported, PipelineError), match=said):
        dp.create_auto_cdc_flow(**{"target": "t", "source": "s", "keys": ["id"], "sequence_by": "seq", **named})


def test_what_databricks_has_and_the_estate_has_not_is_refused_by_name(graph: Graph) -> None:
    with pytest.raises(NotSupported, match=r"does not support dp\.create_auto_cdc_from_snapshot_flow"):
        dp.create_auto_cdc_from_snapshot_flow(target="t", source="s", keys=["id"])
    with pytest.raises(NotSupported, match=r"does not support dp\.create_sink"):
        dp.create_sink("s", "kafka")
    with pytest.raises(NotSupported, match=r"does not support cluster_by \(t at "):
        dp.table(name="t", cluster_by=["id"])(query)


def test_a_graph_that_cannot_run_says_why(graph: Graph) -> None:
    with pytest.raises(PipelineError, match="declare no dataset"):
        graph.check()
    dp.create_streaming_table("empty")
    with pytest.raises(PipelineError, match=r"streaming table c\.s\.empty has no flow that writes to it"):
        graph.check()
    dp.append_flow(target="empty", name="one")(query)
    dp.append_flow(target="empty", name="two")(query)
    graph.check()
    dp.append_flow(target="nowhere", name="three")(query)
    with pytest.raises(PipelineError, match=r"flow three writes to c\.s\.nowhere, which is not declared"):
        graph.check()


def test_an_update_is_about_all_tables_or_the_ones_it_names(graph: Graph) -> None:
    dp.table(name="a")(query)
    dp.table(name="b")(query)
    nothing: dict[str, Any] = {"full_refresh": False, "full_refresh_selection": [], "refresh_selection": []}
    everything = Selection.of({**nothing, "full_refresh": True}, graph)
    assert all(everything.includes(flow) for flow in graph.flows.values()) and everything.starts_over(graph.get("a"))
    some = Selection.of({**nothing, "full_refresh_selection": ["a"]}, graph)
    assert [flow.name for flow in graph.flows.values() if some.includes(flow)] == ["c.s.a"]
    with pytest.raises(
        PipelineError, match=r"refresh_selection names z, which is no table of this pipeline; its tables are c\.s\.a, c\.s\.b"
    ):
        Selection.of({**nothing, "refresh_selection": ["z"]}, graph)


def test_event_filters_are_those_of_the_documentation() -> None:
    event = {"level": "WARN", "id": "e1", "timestamp": "2026-01-02T00:00:00.000Z"}
    for wanted in ("", "level='WARN'", "level in ('WARN', 'ERROR') AND timestamp > '2026-01-01T00:00:00.000Z'", "id = 'e1'"):
        assert matching(wanted)(event), wanted
    for other in ("level='INFO'", "timestamp < '2026-01-01T00:00:00.000Z'", "id='e1' AND level='ERROR'"):
        assert not matching(other)(event), other
    with pytest.raises(ApiError, match="does not support the event filter 'level LIKE 1'"):
        matching("level LIKE 1")
