"""`/api/2.0/sql/statements`: executes on the data plane as the caller. Results are kept in memory and gone after a restart."""

from __future__ import annotations

import re
import threading
import uuid
from collections import OrderedDict
from typing import Any

from local_estate.api.kernel.call import Call
from local_estate.api.kernel.errors import ApiError, not_supported
from local_estate.api.kernel.routing import Face, Route
from local_estate.api.kernel.store import Document
from local_estate.api.services.sql import warehouses
from local_estate.spark.runtime import Session, SqlFailed, SqlRequest, SqlResult

CHUNK_ROWS = 10_000
INLINE_BYTES = 25 * 1024 * 1024
_KEPT = 500
_TOKEN_SECONDS = 24 * 3600
_TERMINAL = ("SUCCEEDED", "FAILED", "CANCELED", "CLOSED")


class Statement:
    """One statement on its thread. `done` is set once the state is terminal."""

    def __init__(self, spark: Any, request: SqlRequest, *, workspace_id: int, owner_id: str) -> None:
        self.id = str(uuid.UUID(request.request_id))
        self.workspace_id = workspace_id
        self.owner_id = owner_id
        self.done = threading.Event()
        self._spark = spark
        self._request = request
        self._lock = threading.Lock()
        self._state = "PENDING"
        self._error: Document = {}
        self._sql_state = ""
        self._result: SqlResult | None = None
        self._thread = threading.Thread(target=self._run, name=f"statement-{self.id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        with self._lock:
            if self._state == "CANCELED":
                return
            self._state = "RUNNING"
        try:
            result = self._spark.execute_sql(self._request)
            size = sum(len(cell or "") for row in result.rows for cell in row)
            if size > INLINE_BYTES:
                message = f"Inline byte limit exceeded. Results with disposition=INLINE may have at most {INLINE_BYTES} bytes."
                self._end("FAILED", error={"error_code": "BAD_REQUEST", "message": message}, sql_state="54000")
            else:
                self._end("SUCCEEDED", result=result)
        except SqlFailed as failure:
            shown = failure.message
            if failure.error_class and not shown.startswith(f"[{failure.error_class}"):
                shown = f"[{failure.error_class}] {shown}"
            code = "TEMPORARILY_UNAVAILABLE" if failure.error_class == "TEMPORARILY_UNAVAILABLE" else "BAD_REQUEST"
            self._end("FAILED", error={"error_code": code, "message": shown}, sql_state=failure.sql_state)
        except Exception as failure:  # the client polls for this; nobody else would see it
            self._end("FAILED", error={"error_code": "INTERNAL_ERROR", "message": f"{type(failure).__name__}: {failure}"})

    def _end(self, state: str, *, error: Document | None = None, sql_state: str = "", result: SqlResult | None = None) -> None:
        with self._lock:
            if self._state not in _TERMINAL:
                self._state, self._error, self._sql_state, self._result = state, error or {}, sql_state, result
        self.done.set()

    def cancel(self) -> None:
        """Returns at once."""
        with self._lock:
            if self._state in _TERMINAL:
                return
            self._state = "CANCELED"
        self.done.set()
        threading.Thread(target=self._stop_spark, name=f"cancel-{self.id}", daemon=True).start()

    def _stop_spark(self) -> None:
        """Again and again: Spark knows the statement only once it has arrived there, and starts jobs one after the other."""
        while self._thread.is_alive():
            self._spark.cancel_sql(self._request.request_id)
            self._thread.join(0.2)

    def wire(self, *, first_read: bool = False) -> Document:
        with self._lock:
            state = "PENDING" if first_read else self._state
            found: Document = {"statement_id": self.id, "status": {"state": state}}
            if first_read:
                return found
            if self._error:
                found["status"]["error"] = self._error
                if self._sql_state:
                    found["status"]["sql_state"] = self._sql_state
            if self._result is not None and state == "SUCCEEDED":
                found["manifest"] = _manifest(self._result)
                found["result"] = self._chunk(0) if self._result.rows else {}
            return found

    def chunk(self, index: int) -> Document:
        """Raises ApiError for a statement without result, or an index beyond it."""
        with self._lock:
            if self._result is None:
                raise ApiError("NOT_FOUND", f"The statement {self.id} has no result: it is {self._state}.")
            if not 0 <= index < _chunks(self._result):
                raise ApiError("BAD_REQUEST", f"chunk_index {index} is out of range; the statement has {_chunks(self._result)} chunks.")
            return self._chunk(index)

    def _chunk(self, index: int) -> Document:
        rows = self._result.rows[index * CHUNK_ROWS : (index + 1) * CHUNK_ROWS] if self._result else ()
        found: Document = {
            "chunk_index": index,
            "row_offset": index * CHUNK_ROWS,
            "row_count": len(rows),
            "data_array": [list(row) for row in rows],
        }
        if self._result and index + 1 < _chunks(self._result):
            found["next_chunk_index"] = index + 1
            found["next_chunk_internal_link"] = f"/api/2.0/sql/statements/{self.id}/result/chunks/{index + 1}"
        return found


def _chunks(result: SqlResult) -> int:
    return -(-len(result.rows) // CHUNK_ROWS)


def _manifest(result: SqlResult) -> Document:
    columns = [
        {"name": column.name, "position": position, "type_name": column.type_name, "type_text": column.type_text}
        for position, column in enumerate(result.columns)
    ]
    chunks = [
        {
            "chunk_index": index,
            "row_offset": index * CHUNK_ROWS,
            "row_count": min(CHUNK_ROWS, len(result.rows) - index * CHUNK_ROWS),
        }
        for index in range(_chunks(result))
    ]
    return {
        "format": "JSON_ARRAY",
        "schema": {"column_count": len(columns), "columns": columns},
        "total_chunk_count": len(chunks),
        "total_row_count": len(result.rows),
        "truncated": result.truncated,
        **({"chunks": chunks} if chunks else {}),
    }


class Statements:
    """The statements of this process, the latest ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Statement] = OrderedDict()

    def add(self, statement: Statement) -> None:
        with self._lock:
            self._kept[statement.id] = statement
            finished = [key for key, each in self._kept.items() if each.done.is_set()]
            for key in finished[: max(0, len(self._kept) - _KEPT)]:
                del self._kept[key]

    def find(self, call: Call) -> Statement:
        """Raises ApiError NOT_FOUND, also for another's statement."""
        with self._lock:
            found = self._kept.get(call.path_parameters["id"])
        if found is None or found.workspace_id != (call.workspace_id or 0) or found.owner_id != call.caller.id:
            raise ApiError("NOT_FOUND", f"The statement {call.path_parameters['id']} was not found.")
        return found

    def stop(self) -> None:
        with self._lock:
            kept = list(self._kept.values())
        for each in kept:
            each.cancel()


def _invalid(message: str) -> ApiError:
    return ApiError("INVALID_PARAMETER_VALUE", message)


def _wait_seconds(call: Call) -> int:
    text = str(call.json.get("wait_timeout") or "10s")
    found = re.fullmatch(r"(\d+)s", text)
    if found is None or not (int(found[1]) == 0 or 5 <= int(found[1]) <= 50):
        raise _invalid(f"wait_timeout must be 0s, or between 5s and 50s, not {text!r}.")
    return int(found[1])


def _parameters(call: Call) -> dict[str, tuple[str | None, str]]:
    found: dict[str, tuple[str | None, str]] = {}
    for each in call.json.get("parameters") or []:
        if not each.get("name"):
            raise _invalid("Each parameter needs a name; positional parameters are not supported.")
        value = each.get("value")
        found[str(each["name"])] = (None if value is None else str(value), str(each.get("type") or "STRING"))
    return found


def _refuse_unsupported(call: Call) -> None:
    disposition, form = call.json.get("disposition") or "INLINE", call.json.get("format") or "JSON_ARRAY"
    if disposition == "INLINE" and form != "JSON_ARRAY":
        raise _invalid(f"The format {form} is not supported with disposition INLINE; use JSON_ARRAY.")
    if disposition != "INLINE":
        raise not_supported(f"statement results with disposition {disposition}; use INLINE")
    if call.json.get("byte_limit"):
        raise not_supported("byte_limit of statements; use row_limit")
    if (call.json.get("on_wait_timeout") or "CONTINUE") not in ("CONTINUE", "CANCEL"):
        raise _invalid(f"on_wait_timeout {call.json['on_wait_timeout']!r} is not one of CONTINUE, CANCEL.")


def _execute(call: Call) -> Document:
    warehouse_id, text = str(call.required("warehouse_id")), str(call.required("statement"))
    seconds = _wait_seconds(call)
    _refuse_unsupported(call)
    workspace_id = call.workspace_id or 0
    warehouses.use(call.estate, principal_id=call.caller.id, workspace_id=workspace_id, warehouse_id=warehouse_id)
    token = call.estate.tokens.oauth(principal_id=call.caller.id, workspace_id=workspace_id, seconds=_TOKEN_SECONDS)
    limit = call.number("row_limit", 0)
    request = SqlRequest(
        session=Session(principal=call.caller.name, token=token, workspace_url=call.estate.base_url(Face.WORKSPACE, workspace_id)),
        statement=text,
        parameters=_parameters(call),
        catalog=str(call.json.get("catalog") or ""),
        schema=str(call.json.get("schema") or ""),
        row_limit=limit or None,
        request_id=uuid.uuid4().hex,
    )
    statement = Statement(call.estate.spark, request, workspace_id=workspace_id, owner_id=call.caller.id)
    statements: Statements = call.estate.ask("sql.statements")
    statements.add(statement)
    statement.start()
    if seconds == 0:
        return statement.wire(first_read=True)
    if not statement.done.wait(seconds) and call.json.get("on_wait_timeout") == "CANCEL":
        statement.cancel()
    return statement.wire()


def _found(call: Call) -> Statement:
    statements: Statements = call.estate.ask("sql.statements")
    return statements.find(call)


def _get(call: Call) -> Document:
    return _found(call).wire()


def _chunk(call: Call) -> Document:
    index = call.path_parameters["index"]
    if not index.isdigit():
        raise _invalid(f"chunk_index must be an integer, not {index!r}.")
    return _found(call).chunk(int(index))


def _cancel(call: Call) -> Document:
    _found(call).cancel()
    return {}


def _route(method: str, path: str, handler: Any) -> Route:
    return Route(method=method, path=f"/api/2.0/sql/statements{path}", handler=handler, level="executed")


ROUTES = (
    _route("POST", "", _execute),
    _route("GET", "/{id}", _get),
    _route("GET", "/{id}/result/chunks/{index}", _chunk),
    _route("POST", "/{id}/cancel", _cancel),
)
