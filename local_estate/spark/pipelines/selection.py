"""Which datasets an update is about: all, or the ones it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_estate.spark.pipelines.errors import PipelineError
from local_estate.spark.pipelines.graph import Dataset, Flow, Graph


@dataclass(frozen=True, kw_only=True)
class Selection:
    """`refreshed` None means every dataset. What is fully refreshed starts over."""

    refreshed: frozenset[str] | None
    reset: frozenset[str] | None
    full: bool

    @classmethod
    def of(cls, specification: Mapping[str, Any], graph: Graph) -> Selection:
        """Raises PipelineError for a name the pipeline does not have."""
        reset = _names(specification["full_refresh_selection"], graph, "full_refresh_selection")
        refreshed = _names(specification["refresh_selection"], graph, "refresh_selection")
        some = bool(reset or refreshed)
        return cls(refreshed=reset | refreshed if some else None, reset=reset, full=bool(specification["full_refresh"]) and not some)

    @property
    def resets(self) -> bool:
        return self.full or bool(self.reset)

    def includes(self, flow: Flow) -> bool:
        return self.refreshed is None or flow.target in self.refreshed

    def starts_over(self, dataset: Dataset) -> bool:
        return self.full or dataset.name in (self.reset or ())


def _names(given: Sequence[str], graph: Graph, field: str) -> frozenset[str]:
    found = set()
    for name in given:
        dataset = graph.find(name)
        if dataset is None or dataset.kind == "VIEW":
            tables = ", ".join(sorted(each.name for each in graph.tables()))
            raise PipelineError(f"{field} names {name}, which is no table of this pipeline; its tables are {tables}")
        found.add(dataset.name)
    return frozenset(found)
