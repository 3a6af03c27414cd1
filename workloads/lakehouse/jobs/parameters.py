"""Parameters of a job, as a wheel task gets them: `--key=value`."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from lakehouse.contracts import SYSTEMS
from lakehouse.names import Catalogs

_CATALOGS = ("raw_catalog", "curated_catalog", "marts_catalog", "ai_catalog")
MINIMUM_RETENTION_HOURS = 168
WINDOW_DAYS = 7
AVAILABLE_NOW, CONTINUOUS = "available_now", "continuous"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a job is told; what a job has no use for is empty or the default."""

    catalogs: Catalogs
    run_id: str
    system: str = ""
    retention_hours: int = MINIMUM_RETENTION_HOURS
    kafka_secret: str = ""
    continuous: bool = False
    reason: str = ""
    corrections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dry_run: bool = False
    batch_run_id: str = ""
    window_days: int = WINDOW_DAYS
    enforce: bool = False


class JobArguments(argparse.ArgumentParser):
    """`--key=value` arguments of a job. What is wrong with them becomes the error of its run, for the run's page may not show stderr."""

    def __init__(self, job: str, *, add_help: bool = False) -> None:
        super().__init__(prog=job, allow_abbrev=False, add_help=add_help)

    def error(self, message: str) -> NoReturn:
        raise SystemExit(f"{self.prog}: {message}")


def parse(
    job: str,
    arguments: Sequence[str] | None = None,
    *,
    system: bool = False,
    retention: bool = False,
    kafka: bool = False,
    replay: bool = False,
    acceptance: bool = False,
    kpis: bool = False,
) -> Parameters:
    """Exits with a line that names the parameter when one is missing, unknown or wrong."""
    parser = JobArguments(job, add_help=True)
    for name in _CATALOGS:
        parser.add_argument(f"--{name}", required=True, type=_catalog, metavar="CATALOG")
    parser.add_argument("--run_id", default="", help="id of the job run, kept with what it writes; made up when not given")
    if system:
        parser.add_argument("--system", required=True, choices=SYSTEMS)
    if retention:
        parser.add_argument("--retention_hours", default=MINIMUM_RETENTION_HOURS, type=_retention_hours, metavar="HOURS")
    if kafka:
        parser.add_argument("--kafka_secret", required=True, type=_secret, metavar="SCOPE/KEY", help="options of the Kafka source, as JSON")
        parser.add_argument("--trigger", default=AVAILABLE_NOW, choices=(AVAILABLE_NOW, CONTINUOUS))
    if replay:
        parser.add_argument("--reason", default="", help="only rows with an error that begins so, e.g. `status: `")
        parser.add_argument(
            "--corrections", default={}, type=_corrections, metavar="JSON", help='{"column": {"wrong value": "right value"}}'
        )
        parser.add_argument("--dry_run", default="false", choices=("true", "false"))
    if acceptance:
        parser.add_argument("--batch_run_id", required=True, type=_said, help="run of silver that is held back")
        parser.add_argument("--reason", required=True, type=_said)
    if kpis:
        parser.add_argument("--window_days", default=WINDOW_DAYS, type=_days, metavar="DAYS", help="how far back figures look")
        parser.add_argument("--enforce", default="false", choices=("true", "false"), help="fail where an objective is missed")
    found = vars(parser.parse_args(sys.argv[1:] if arguments is None else arguments))
    return Parameters(
        catalogs=Catalogs(**{name.removesuffix("_catalog"): found[name] for name in _CATALOGS}),
        run_id=found["run_id"] or uuid.uuid4().hex,
        system=found.get("system", ""),
        retention_hours=found.get("retention_hours", MINIMUM_RETENTION_HOURS),
        kafka_secret=found.get("kafka_secret", ""),
        continuous=found.get("trigger") == CONTINUOUS,
        reason=found.get("reason", ""),
        corrections=found.get("corrections", {}),
        dry_run=found.get("dry_run") == "true",
        batch_run_id=found.get("batch_run_id", ""),
        window_days=found.get("window_days", WINDOW_DAYS),
        enforce=found.get("enforce") == "true",
    )


def _said(value: str) -> str:
    if not value.strip():
        raise argparse.ArgumentTypeError("says nothing")
    return value


def _days(value: str) -> int:
    if not value.isdigit() or not 1 <= int(value) <= 30:
        raise argparse.ArgumentTypeError(f"{value!r} is no number of days from 1 to 30: tables keep the times of their commits no longer")
    return int(value)


def _corrections(value: str) -> Mapping[str, Mapping[str, str]]:
    try:
        found = json.loads(value or "{}")
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"is no JSON: {error}") from None
    texts = isinstance(found, dict) and all(isinstance(values, dict) for values in found.values())
    if not texts or not all(isinstance(right, str) for values in found.values() for right in values.values()):
        raise argparse.ArgumentTypeError(f'{value!r} is not of the form {{"column": {{"wrong value": "right value"}}}}')
    return dict(found)


def _catalog(value: str) -> str:
    if not value.replace("_", "").replace("-", "").isalnum():
        raise argparse.ArgumentTypeError(f"{value!r} is no catalog name (letters, digits, _ and -)")
    return value


def _secret(value: str) -> str:
    scope, slash, key = value.partition("/")
    if not (scope and slash and key) or "/" in key:
        raise argparse.ArgumentTypeError(f"{value!r} names no secret (SCOPE/KEY)")
    return value


def _retention_hours(value: str) -> int:
    if not value.isdigit() or int(value) < MINIMUM_RETENTION_HOURS:
        raise argparse.ArgumentTypeError(
            f"{value!r} is no number of hours from {MINIMUM_RETENTION_HOURS} up: "
            "a shorter one deletes files that running readers and streams still need"
        )
    return int(value)
