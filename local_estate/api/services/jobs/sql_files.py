"""A sql_task: the statements of a workspace file, one after the other, as the run-as principal."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

from sqlglot.dialects.databricks import Databricks
from sqlglot.errors import TokenError

from local_estate.api.kernel.call import Estate
from local_estate.api.services.jobs.work import FAILED_MESSAGE, Order, Result, Work, failed, succeeded
from local_estate.spark.runtime import Session, SqlFailed, SqlRequest


class _Statement:
    """What a running statement is to `Work`: there is no process, only something to cancel."""

    pid = 0

    def __init__(self, spark: Any) -> None:
        self._spark = spark
        self.request_id = uuid.uuid4().hex
        self.canceled = False
        self.ended = threading.Event()

    def cancel(self) -> None:
        """Again and again: Spark knows a statement only once it has arrived there."""
        self.canceled = True
        while not self.ended.is_set():
            self._spark.cancel_sql(self.request_id)
            self.ended.wait(0.2)


def statements(text: str) -> list[str]:
    """Split at semicolons that are not inside strings or comments. Raises ValueError for text that cannot be read as SQL."""
    try:
        tokens = Databricks().tokenize(text)
    except TokenError as error:
        raise ValueError(str(error)) from None
    found, start = [], 0
    for token in tokens:
        if token.text == ";" and token.token_type.name == "SEMICOLON":
            found.append(text[start : token.start].strip())
            start = token.end + 1
    found.append(text[start:].strip())
    return [each for each in found if Databricks().tokenize(each)]


def run(estate: Estate, order: Order, work: Work, session: Session, file: Path) -> Result:
    """Raises ApiError without CAN_USE on the warehouse."""
    details = order.task["sql_task"]
    estate.ask(
        "sql.use_warehouse", principal_id=order.run_as_id, workspace_id=order.workspace_id, warehouse_id=str(details["warehouse_id"])
    )
    given = {name: (str(value), "STRING") for name, value in (details.get("parameters") or {}).items()}
    running = _Statement(estate.spark)
    work.began(running)
    try:
        for statement in statements(file.read_text()):
            if running.canceled:
                break
            estate.spark.execute_sql(
                SqlRequest(session=session, statement=statement, parameters=given, row_limit=1000, request_id=running.request_id)
            )
    except SqlFailed as error:
        return failed("RUN_EXECUTION_ERROR", FAILED_MESSAGE, error=error.message)
    except ValueError as error:
        return failed("RUN_EXECUTION_ERROR", FAILED_MESSAGE, error=f"{details['file']['path']}: {error}")
    finally:
        running.ended.set()
    return succeeded()
