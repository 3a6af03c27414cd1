"""Reads what a dataset's owner promises: the slaProperties of its contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from open_data_contract_standard.model import ServiceLevelAgreementProperty

from lakehouse.contracts.dataset import Objectives
from lakehouse.contracts.errors import ContractError

_UNITS = {"y": timedelta(days=365), "d": timedelta(days=1), "h": timedelta(hours=1), "min": timedelta(minutes=1)}
_PROPERTIES = ("latency", "frequency", "retention", "throughput", "errorRate")

Wrong = Callable[[str, str], ContractError]


def read_objectives(properties: Sequence[ServiceLevelAgreementProperty], wrong: Wrong) -> Objectives:
    """`latency` is freshness (p95), `throughput` the rows of a delivery, `value` to `valueExt`. Raises what `wrong(key, what)` makes."""
    found: dict[str, tuple[ServiceLevelAgreementProperty, str]] = {}
    for position, item in enumerate(properties):
        key = f"slaProperties.{position}"
        if item.property not in _PROPERTIES:
            raise wrong(f"{key}.property", f"{item.property!r} is no objective we measure; there are {', '.join(_PROPERTIES)}")
        if item.property in found:
            raise wrong(f"{key}.property", f"{item.property} is promised twice")
        found[item.property] = (item, key)
    return Objectives(
        freshness=_span(found.get("latency"), wrong),
        frequency=_span(found.get("frequency"), wrong),
        retention=_span(found.get("retention"), wrong),
        rows=_rows(found.get("throughput"), wrong),
        error_rate_pct=_percent(found.get("errorRate"), wrong),
    )


def _span(given: tuple[ServiceLevelAgreementProperty, str] | None, wrong: Wrong) -> timedelta | None:
    if given is None:
        return None
    item, key = given
    if item.unit not in _UNITS:
        raise wrong(f"{key}.unit", f"must be one of {', '.join(_UNITS)}, is {item.unit!r}")
    return _number(item.value, f"{key}.value", wrong) * _UNITS[item.unit]


def _rows(given: tuple[ServiceLevelAgreementProperty, str] | None, wrong: Wrong) -> tuple[int, int] | None:
    if given is None:
        return None
    item, key = given
    if item.unit != "rows":
        raise wrong(f"{key}.unit", f"must be rows, is {item.unit!r}")
    least, most = int(_number(item.value, f"{key}.value", wrong)), int(_number(item.valueExt, f"{key}.valueExt", wrong))
    if least > most:
        raise wrong(f"{key}.valueExt", f"{most} is fewer than the {least} of value")
    return least, most


def _percent(given: tuple[ServiceLevelAgreementProperty, str] | None, wrong: Wrong) -> float | None:
    if given is None:
        return None
    item, key = given
    number = _number(item.value, f"{key}.value", wrong)
    if item.unit != "percent" or number > 100:
        raise wrong(key, f"must be 0 to 100 of unit percent, is {item.value!r} of {item.unit!r}")
    return number


def _number(value: object, key: str, wrong: Wrong) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise wrong(key, f"must be a number from 0 up, is {value!r}")
    return float(value)
