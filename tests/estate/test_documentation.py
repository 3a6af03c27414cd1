"""README and docs, run as written: a checkout and an estate of their own, the pages in the order in which one page builds on another."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_estate.paths import REPOSITORY
from tests.documentation import COMMANDS, RUN, Block, blocks
from tests.estate.image import ROWS, Image

OURS = ("ESTATE_", "DATABRICKS_", "ARM_", "PULUMI_", "PYTEST_", "VIRTUAL_ENV", "PYTHONPATH")
CATALOGS = {"<raw>": "dev_ep_raw", "<curated>": "dev_ep_curated", "<marts>": "dev_ep_marts"}
READER = "data_engineering,pii_readers"
# What the new domain touches; the whole layers would be run once more for nothing else.
FAST = ("tests/unit/test_contracts_derived.py", "tests/unit/test_contracts_command.py", "tests/unit/test_samples_generator.py")
FAST += ("tests/unit/test_lakehouse_contracts.py", "tests/unit/test_lakehouse_jobs.py", "tests/component/test_infra_stacks.py")


@dataclass(frozen=True)
class Checkout:
    """A copy of this one, with its own environment and the estate of the image."""

    folder: Path

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        own |= {"ESTATE_ROWS": str(ROWS), "PYTHON": sys.executable, "SHELL": "/bin/sh"}
        command = ["bash", "-eo", "pipefail", "-c", script]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def asked(self, statement: str) -> list[dict[str, Any]]:
        done = self.run(f".venv/bin/estate sql --json --as {READER} {shlex.quote(statement)}")
        assert done.returncode == 0, done.stdout
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def checkout(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    folder = tmp_path_factory.mktemp("checkout")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(lambda name: name and os.path.lexists(REPOSITORY / name), names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, folder / name, follow_symlinks=False)
    (folder / ".tools").symlink_to(image.made_by.tools)
    (folder / "policies" / ".venv").symlink_to(REPOSITORY / "policies" / ".venv")
    image.restore(folder / ".estate")
    made = Checkout(folder)
    try:
        yield made
    finally:
        made.run(".venv/bin/estate down")


def script_of(block: Block) -> str:
    """As written; a statement is what somebody with access asks the warehouse of dev."""
    if block.language == "sh":
        return block.text
    text = block.text
    for name, catalog in CATALOGS.items():
        text = text.replace(name, catalog)
    return "".join(f".venv/bin/estate sql --as {READER} {shlex.quote(each.strip())}\n" for each in text.split(";") if each.strip())


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run_as_written(checkout: Checkout, page: str) -> None:
    wanted = [block for block in blocks(page) if block.language in COMMANDS and not block.not_run]
    done = checkout.run("".join(f"echo '== {block.where}'\n{script_of(block)}" for block in wanted))
    assert done.returncode == 0, done.stdout[-6000:]


def test_a_domain_added_by_its_page_is_in_bronze_silver_and_quarantine_with_its_account_balanced(checkout: Checkout) -> None:
    silver = checkout.asked("SELECT invoice_id, status FROM dev_ep_curated.billing.invoice_silver ORDER BY 1")
    assert silver == [{"invoice_id": "INV-1", "status": "PAID"}, {"invoice_id": "INV-2", "status": "PAID"}]
    assert checkout.asked("SELECT count(*) AS rows FROM dev_ep_raw.billing.billing_bronze") == [{"rows": "5"}]
    held = checkout.asked("SELECT array_join(errors, '|') AS why FROM dev_ep_raw.billing.billing_quarantine ORDER BY 1")
    assert [each["why"] for each in held] == ["amount: is not of type DECIMAL(10,2)", "status: is not one of OPEN, PAID, CANCELLED"]
    ways = ("written", "duplicate", "superseded", "quarantined")
    columns = ", ".join(f"sum(rows_{way}) AS {way}" for way in ("in", *ways))
    (account,) = checkout.asked(f"SELECT {columns} FROM dev_ep_raw.platform.batch_accounting WHERE dataset = 'billing.invoice_silver'")
    assert account == {"in": "5", "written": "2", "duplicate": "0", "superseded": "1", "quarantined": "2"}


def test_a_component_added_by_its_page_is_deployed(checkout: Checkout) -> None:
    done = checkout.run('eval "$(.venv/bin/estate env)"; pulumi stack export --stack dev')
    assert done.returncode == 0, done.stdout
    made = {each["urn"].rpartition("::")[2]: each for each in json.loads(done.stdout)["deployment"]["resources"]}
    assert made["queries"]["id"]
    assert made["queries"]["inputs"]["retentionInDays"] == 30


def test_the_fast_tests_of_a_checkout_with_the_new_domain_pass(checkout: Checkout) -> None:
    assert (checkout.folder / "contracts" / "released" / "billing").is_dir()
    done = checkout.run(f".venv/bin/python -m pytest -q {' '.join(FAST)}")
    assert done.returncode == 0, done.stdout[-4000:]
