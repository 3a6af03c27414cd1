"""Whether a job starts by itself, and when its schedule is due: Quartz expressions, as Databricks takes them, in a time zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

UNPAUSED = "UNPAUSED"


class BadSchedule(ValueError):
    """The expression or the time zone is none; the message is Databricks' of the field."""


def is_on(settings: Mapping[str, Any], name: str) -> bool:
    """Whether the job starts by its `schedule`, `trigger` or `continuous`; what does not say so is not paused."""
    return name in settings and settings[name].get("pause_status", UNPAUSED) == UNPAUSED


def check(schedule: Mapping[str, Any]) -> None:
    """Raises BadSchedule."""
    due(schedule, 0.0)


def due(schedule: Mapping[str, Any], after: float) -> float:
    """The first moment after `after` (both seconds of the epoch) at which the schedule starts a run. Raises BadSchedule."""
    expression = str(schedule.get("quartz_cron_expression", ""))
    fields = expression.split()
    if len(fields) not in (6, 7):
        raise BadSchedule(f"Invalid quartz_cron_expression: '{expression}'.")
    if not schedule.get("timezone_id"):
        raise BadSchedule("Missing required field: schedule.timezone_id")
    try:
        zone = ZoneInfo(str(schedule["timezone_id"]))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadSchedule(f"Invalid timezone_id: '{schedule['timezone_id']}'.") from None
    second, minute, hour, day, month, weekday = (field.replace("?", "*") for field in fields[:6])
    # croniter has seconds last, and counts the days of the week from 0; Quartz has seconds first and counts from 1. Both begin on Sunday.
    words = f"{minute} {hour} {day} {month} {_weekday(weekday)} {second}"
    if not croniter.is_valid(words) or fields[6:] not in ([], ["*"]):
        raise BadSchedule(f"Invalid quartz_cron_expression: '{expression}'.")
    return float(croniter(words, datetime.fromtimestamp(after, zone)).get_next(float))


def _weekday(field: str) -> str:
    """Numbers of days one less; not those behind `/` (how many days apart) and `#` (which of the month)."""
    return re.sub(r"(?<![/#\d])\d+", lambda found: str(int(found[0]) - 1), field)
