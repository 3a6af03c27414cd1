"""SQL warehouses, statements and data sources as one service."""

from __future__ import annotations

from collections.abc import Callable

from local_estate.api.kernel.call import Estate
from local_estate.api.kernel.routing import Service
from local_estate.api.services.sql import statements, warehouses


def _start(estate: Estate) -> Callable[[], None]:
    kept = statements.Statements()
    estate.answers["sql.statements"] = lambda _: kept
    return kept.stop


SERVICE = Service(
    name="sql",
    routes=(*warehouses.ROUTES, *statements.ROUTES),
    provides={"sql.use_warehouse": warehouses.use},
    start=_start,
)
