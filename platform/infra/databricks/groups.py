"""The account's groups. Grants name these and nothing else; people join them in Entra ID."""

from __future__ import annotations

OWNERS = "MT-platform-owners"
ENGINEERS = "data_engineering"
GROUPS = (
    ENGINEERS,
    "analyst_readers",
    "MT-dpm-data-eng",
    "MT-analyst-readers",
    "MT-ml-serving",
    "MT-ai-governance",
    "pii_readers",
    OWNERS,
)
