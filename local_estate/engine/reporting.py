"""Lines for whoever waits: elapsed time on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


def _console() -> Console:
    return Console(file=sys.stderr, highlight=False)


@dataclass(frozen=True)
class Reporter:
    """Writes to stderr, so that a command's own output stays parseable."""

    console: Console = field(default_factory=_console)

    def line(self, text: str) -> None:
        self.console.print(escape(text), soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A long step. On a terminal one moving line with the elapsed time; elsewhere its title once."""
        if not self.console.is_terminal:
            self.line(f"{title} …")
            yield Step(lambda text: None)
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(escape(title), total=None)
            yield Step(lambda text: progress.update(task, description=escape(f"{title}: {text}"[:120])))


@dataclass(frozen=True)
class Step:
    """What a running step may say about itself."""

    say: Callable[[str], None]
