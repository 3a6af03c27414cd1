"""States as clients read them, pages, and SQL files."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_estate.api.kernel.errors import ApiError
from local_estate.api.services.jobs.models import Ending, TaskRun
from local_estate.api.services.jobs.outputs import tail
from local_estate.api.services.jobs.sql_files import statements
from local_estate.api.services.jobs.wire import offset_of, paged, state, task_state


@pytest.mark.parametrize(
    ("phase", "life_cycle", "status"),
    [
        ("QUEUED", "QUEUED", "QUEUED"),
        ("PENDING", "PENDING", "PENDING"),
        ("BLOCKED", "BLOCKED", "BLOCKED"),
        ("RUNNING", "RUNNING", "RUNNING"),
        ("WAITING", "WAITING_FOR_RETRY", "WAITING"),
        ("TERMINATING", "TERMINATING", "TERMINATING"),
    ],
)
def test_both_spellings_of_a_state_that_is_not_final(phase: str, life_cycle: str, status: str) -> None:
    found = state(phase, Ending(), "TERMINATED", 3)
    assert (found["state"]["life_cycle_state"], found["status"]["state"]) == (life_cycle, status)
    assert "result_state" not in found["state"]
    if phase == "QUEUED":
        assert found["status"]["queue_details"]["message"] == "Queued due to reaching maximum concurrent runs of 3."


@pytest.mark.parametrize(
    ("result", "code", "kind"),
    [
        ("SUCCESS", "SUCCESS", "SUCCESS"),
        ("EXCLUDED", "SKIPPED", "SUCCESS"),
        ("UPSTREAM_FAILED", "SKIPPED", "CLIENT_ERROR"),
        ("FAILED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
        ("FAILED", "INTERNAL_ERROR", "INTERNAL_ERROR"),
        ("CANCELED", "USER_CANCELED", "CLIENT_ERROR"),
    ],
)
def test_a_final_state_has_its_termination_details(result: str, code: str, kind: str) -> None:
    ended = TaskRun(
        run_id=2, job_run_id=1, task_key="a", attempt=0, task={}, phase="ENDED", ending=Ending(result=result, code=code, message="m")
    )
    found = task_state(ended)
    assert found["status"]["termination_details"] == {"code": code, "type": kind, "message": "m"}
    assert found["state"]["result_state"] == result
    assert found["state"]["life_cycle_state"] == ("INTERNAL_ERROR" if code == "INTERNAL_ERROR" else "TERMINATED")


def test_every_list_is_paged_until_the_longest_ends() -> None:
    lists = {"tasks": list(range(250)), "job_clusters": list(range(101)), "parameters": []}
    first, second, third = (paged({"a": 1}, lists, offset) for offset in (0, 100, 200))
    assert (len(first["tasks"]), len(first["job_clusters"]), "parameters" in first, first["next_page_token"]) == (100, 100, False, "100")
    assert (len(second["job_clusters"]), second["next_page_token"]) == (1, "200")
    assert (len(third["tasks"]), "job_clusters" in third, "next_page_token" in third) == (50, False, False)


def test_a_foreign_page_token_is_refused() -> None:
    assert (offset_of(""), offset_of(None), offset_of("100")) == (0, 0, 100)
    with pytest.raises(ApiError, match="Invalid page_token: abc"):
        offset_of("abc")


def test_output_is_cut_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "stdout"
    assert tail(log) == ("", False)
    log.write_text("0123456789")
    assert tail(log, 4) == ("6789", True)
    assert tail(log, 10) == ("0123456789", False)


def test_statements_end_at_semicolons_outside_strings_and_comments() -> None:
    text = "SELECT ';' AS a; -- one; more\nSELECT \";\" /* ; */;\n;  \n-- the end\n"
    assert statements(text) == ["SELECT ';' AS a", '-- one; more\nSELECT ";" /* ; */']
    assert statements("") == []


def test_an_unclosed_string_is_no_sql() -> None:
    with pytest.raises(ValueError, match="Error tokenizing"):
        statements("SELECT 'a")
