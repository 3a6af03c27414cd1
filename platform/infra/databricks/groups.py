"""The account's groups. Grants name these and nothing else; people join them in Entra ID."""

from __future__ import annotations

OWNERS = "MT-platform-owners"
ENGINEERS = "data_engineering"
PII_READERS = "pii_readers"
GROUPS = (
    ENGINEERS,
    "analyst_readers",
    "MT-dpm-data-eng",
    "MT-analyst-readers",
    "MT-ml-serving",
    "MT-ai-governance",
    PII_READERS,
    OWNERS,
)
# The principals that jobs and pipelines run as: nothing is hidden from them, for they write what is masked from others. Never a person.
PIPELINES = "MT-pipelines"
# Who serves a state or territory sees its rows where a row filter says so (sql/functions/raw/governance/in_region.sql).
REGIONS = ("ACT", "NSW", "NT", "QLD", "SA", "TAS", "VIC", "WA")
REGION_GROUPS = tuple(f"MT-region-{region}" for region in REGIONS)
# These open and hide data: nobody enters a workspace through them.
DATA_GROUPS = (PIPELINES, *REGION_GROUPS)
