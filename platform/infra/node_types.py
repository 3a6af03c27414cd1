"""The Azure VM sizes this platform may name: those Databricks offers for jobs and pipelines, by family. A new family is one line."""

from __future__ import annotations


def _family(prefix: str, suffix: str, cores: tuple[int, ...]) -> frozenset[str]:
    return frozenset(f"Standard_{prefix}{number}{suffix}" for number in cores)


NODE_TYPES = frozenset().union(
    _family("DS", "_v2", (3, 4, 5)),
    *(_family("D", suffix, (4, 8, 16, 32)) for suffix in ("s_v3", "ds_v4", "ds_v5", "ads_v5")),
    *(_family("E", suffix, (4, 8, 16, 32)) for suffix in ("s_v3", "ds_v4", "ds_v5", "ads_v5")),
    *(_family("L", suffix, (8, 16, 32)) for suffix in ("s_v2", "s_v3")),
    _family("F", "s_v2", (4, 8, 16, 32)),
)
