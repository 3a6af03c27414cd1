"""No page has a command that nobody runs."""

from __future__ import annotations

import json

import pytest

from tests.documentation import COMMANDS, REPOSITORY, RUN, SHOWN, blocks, pages

INDENTED = ("    make ", "    pulumi ", "    .venv/", "    eval ", "    $ ")


@pytest.mark.parametrize("page", pages())
def test_every_block_says_what_it_is_and_every_command_is_run_or_says_why_not(page: str) -> None:
    for block in blocks(page):
        assert block.language in (*COMMANDS, *SHOWN), f"{block.where}: write ```sh for commands, ```text for what is only shown"
        if block.language == "json":
            json.loads(block.text)
        unmarked = block.language in COMMANDS and not block.not_run
        assert not unmarked or page in RUN, f"{block.where}: nobody runs it; add the page to RUN, or <!-- not run: reason --> above it"


@pytest.mark.parametrize("page", pages())
def test_no_command_hides_in_an_indented_block(page: str) -> None:
    for number, line in enumerate((REPOSITORY / page).read_text(encoding="utf-8").splitlines(), 1):
        assert not line.startswith(INDENTED), f"{page}:{number}: put commands into a ```sh block"


def test_pages_that_are_run_have_something_to_run() -> None:
    for page in RUN:
        assert [block for block in blocks(page) if block.language in COMMANDS and not block.not_run], page
