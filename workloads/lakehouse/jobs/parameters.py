"""Parameters of a job, as a wheel task gets them: `--key=value`."""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.contracts import SYSTEMS
from lakehouse.names import Catalogs

_CATALOGS = ("raw_catalog", "curated_catalog", "marts_catalog", "ai_catalog")
MINIMUM_RETENTION_HOURS = 168
AVAILABLE_NOW, CONTINUOUS = "available_now", "continuous"


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a job is told. `system` is empty and `retention_hours` the default where a job has no use for them."""

    catalogs: Catalogs
    run_id: str
    system: str = ""
    retention_hours: int = MINIMUM_RETENTION_HOURS
    kafka_secret: str = ""
    continuous: bool = False


def parse(
    job: str, arguments: Sequence[str] | None = None, *, system: bool = False, retention: bool = False, kafka: bool = False
) -> Parameters:
    """Exits with status 2 and a line that names the parameter when one is missing, unknown or wrong."""
    parser = argparse.ArgumentParser(prog=job, allow_abbrev=False)
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
    found = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    return Parameters(
        catalogs=Catalogs(raw=found.raw_catalog, curated=found.curated_catalog, marts=found.marts_catalog, ai=found.ai_catalog),
        run_id=found.run_id or uuid.uuid4().hex,
        system=found.system if system else "",
        retention_hours=found.retention_hours if retention else MINIMUM_RETENTION_HOURS,
        kafka_secret=found.kafka_secret if kafka else "",
        continuous=kafka and found.trigger == CONTINUOUS,
    )


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
