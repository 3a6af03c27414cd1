"""What Databricks has in `pyspark.pipelines` and the open-source module lacks, under the same names: expectations and full AUTO CDC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from pyspark.pipelines.graph_element_registry import get_active_graph_element_registry

from local_estate.spark.pipelines.errors import NotSupported, PipelineError
from local_estate.spark.pipelines.expectations import Action, Expectation, declare, of_mapping

_REFUSED = ("create_auto_cdc_from_snapshot_flow", "create_sink", "foreach_batch_sink", "on_event_hook", "replace_where_flow")


@dataclass(frozen=True, kw_only=True)
class AutoCdc:
    """As declared; the lists hold column names."""

    name: str
    target: str
    source: str
    keys: tuple[str, ...]
    sequence_by: Any
    apply_as_deletes: Any
    column_list: tuple[str, ...] | None
    except_column_list: tuple[str, ...]
    track_history: tuple[str, ...] | None
    track_history_except: tuple[str, ...]
    scd_type: int


def teach(module: ModuleType) -> None:
    """Completes `pyspark.pipelines` of this process."""
    actions: tuple[tuple[str, Action], ...] = (("", "keep"), ("_or_drop", "drop"), ("_or_fail", "fail"))
    for suffix, action in actions:
        setattr(module, f"expect{suffix}", _expect(action))
        setattr(module, f"expect_all{suffix}", _expect_all(action))
    module.create_streaming_table = _streaming_table(module.create_streaming_table)  # type: ignore[attr-defined]
    module.create_auto_cdc_flow = create_auto_cdc_flow  # type: ignore[attr-defined]
    for name in _REFUSED:
        setattr(module, name, _refused(name))


def _expect(action: Action) -> Callable[[str, Any], Callable[[Any], Any]]:
    def expect(name: str, inv: Any) -> Callable[[Any], Any]:
        return lambda function: declare(function, [Expectation(name=name, condition=inv, action=action)])

    return expect


def _expect_all(action: Action) -> Callable[[Mapping[str, Any]], Callable[[Any], Any]]:
    def expect_all(expectations: Mapping[str, Any]) -> Callable[[Any], Any]:
        return lambda function: declare(function, of_mapping(expectations, action))

    return expect_all


def _streaming_table(plain: Callable[..., None]) -> Callable[..., None]:
    def create_streaming_table(
        name: str,
        *,
        expect_all: Mapping[str, Any] | None = None,
        expect_all_or_drop: Mapping[str, Any] | None = None,
        expect_all_or_fail: Mapping[str, Any] | None = None,
        **named: Any,
    ) -> None:
        plain(name, **named)
        expectations = (*of_mapping(expect_all, "keep"), *of_mapping(expect_all_or_drop, "drop"), *of_mapping(expect_all_or_fail, "fail"))
        get_active_graph_element_registry().expect_of(name, expectations)  # type: ignore[attr-defined]

    return create_streaming_table


def create_auto_cdc_flow(
    target: str,
    source: str,
    keys: Sequence[Any],
    sequence_by: Any,
    ignore_null_updates: bool = False,
    apply_as_deletes: Any = None,
    apply_as_truncates: Any = None,
    column_list: Sequence[Any] | None = None,
    except_column_list: Sequence[Any] | None = None,
    stored_as_scd_type: int | str = 1,
    track_history_column_list: Sequence[Any] | None = None,
    track_history_except_column_list: Sequence[Any] | None = None,
    name: str | None = None,
    once: bool = False,
    **more: Any,
) -> None:
    """AUTO CDC as Databricks declares it. Raises NotSupported by name, PipelineError for contradictions."""
    flow = name or target
    asked = {"ignore_null_updates": ignore_null_updates, "apply_as_truncates": apply_as_truncates is not None, "once": once, **more}
    if refused := sorted(argument for argument, given in asked.items() if given):
        raise NotSupported(f"{', '.join(refused)} of create_auto_cdc_flow (flow {flow})")
    scd_type = str(stored_as_scd_type)
    if scd_type not in ("1", "2"):
        raise PipelineError(f"flow {flow}: stored_as_scd_type is {stored_as_scd_type!r}, must be 1 or 2")
    if not keys:
        raise PipelineError(f"flow {flow}: create_auto_cdc_flow needs at least one key")
    if column_list and except_column_list:
        raise PipelineError(f"flow {flow}: give column_list or except_column_list, not both")
    if track_history_column_list and track_history_except_column_list:
        raise PipelineError(f"flow {flow}: give track_history_column_list or track_history_except_column_list, not both")
    if scd_type == "1" and (track_history_column_list or track_history_except_column_list):
        raise PipelineError(f"flow {flow}: history is tracked with stored_as_scd_type=2 only")
    declared = AutoCdc(
        name=flow,
        target=target,
        source=source,
        keys=_names(keys),
        sequence_by=sequence_by,
        apply_as_deletes=apply_as_deletes,
        column_list=_names(column_list) if column_list else None,
        except_column_list=_names(except_column_list or ()),
        track_history=_names(track_history_column_list) if track_history_column_list else None,
        track_history_except=_names(track_history_except_column_list or ()),
        scd_type=int(scd_type),
    )
    get_active_graph_element_registry().register_auto_cdc_flow(declared)  # type: ignore[arg-type]


def _names(columns: Sequence[Any]) -> tuple[str, ...]:
    """Columns come as names or as `col("name")`."""
    return tuple(each if isinstance(each, str) else str(each._jc.toString()).strip("`") for each in columns)


def _refused(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise NotSupported(f"dp.{name}")

    return refuse
