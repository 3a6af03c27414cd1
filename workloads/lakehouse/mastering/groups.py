"""Connected groups of records: the same groups and names whatever the order of the links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def connected(links: Iterable[Sequence[str]]) -> dict[str, str]:
    """Records that are linked to each other → the smallest record of their group."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for link in links:
        for name in link:
            one, other = sorted((root(link[0]), root(name)))
            parent[other] = one
    return {name: root(name) for name in parent}
