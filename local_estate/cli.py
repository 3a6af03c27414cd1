"""`estate`: brings the platform up on this machine, shows it, takes it down.

Every command has `--help`; exit code 1 is a failure that was explained, 2 a command that was not understood.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local_estate import airflow, answers, ask, bring_up, engine, facts, full_disk, stack_files, take_down
from local_estate.engine.environment import engine_variables
from local_estate.engine.preview_table import print_report
from local_estate.engine.stacks import PolicyPack, Stacks
from local_estate.kafka.broker import KafkaBroker
from local_estate.paths import REPOSITORY, Paths
from local_estate.process import ServiceProcess

app = typer.Typer(help=__doc__, invoke_without_command=True, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
# A pipe has no width of its own; eighty columns would cut every table.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def _known(check: Callable[[Path, str], str]) -> Callable[[str | None], str | None]:
    """The one place where a stack's name is looked at: what follows may rely on its file."""

    def checked(stack: str | None) -> str | None:
        try:
            return stack if stack is None else check(REPOSITORY, stack)
        except stack_files.NoSuchStack as error:
            raise typer.BadParameter(str(error)) from None

    return checked


StackOption = Annotated[
    str, typer.Option("--stack", "-s", help="an environment (dev, test, prod) or shared", callback=_known(stack_files.require))
]
EnvironmentOption = Annotated[
    str, typer.Option("--stack", "-s", help="dev, test or prod", callback=_known(stack_files.require_environment))
]
RowsOption = Annotated[int, typer.Option(help="rows of a generated day, over all systems")]


_RESTARTING = ("up", "down", "reset")  # what an outdated service does not matter to


@app.callback()
def _before(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="of the estate and what it is made of", is_eager=True)] = False,
) -> None:
    if version:
        print(_version())
        raise typer.Exit
    if context.invoked_subcommand not in _RESTARTING and ServiceProcess(Paths.from_environment()).outdated():
        _note("the local estate runs code from before the last edit of its sources; `estate up` or `estate down` ends that")


def _version() -> str:
    parts = {"Pulumi": "pulumi", "azure-native": "pulumi-azure-native", "databricks": "pulumi-databricks", "Spark": "pyspark"}
    made_of = ", ".join(f"{name} {metadata.version(package)}" for name, package in (parts | {"Delta": "delta-spark"}).items())
    return f"estate {metadata.version('mt-lakehouse-estate')} ({made_of})"


@app.command()
def up(
    stack: StackOption = "dev",
    day: Annotated[int, typer.Option(min=1, max=2, help="bring the samples up to this day")] = 1,
    rows: RowsOption = 50_000,
    no_day: Annotated[bool, typer.Option("--no-day", help="deploy only; land and run nothing")] = False,
    again: Annotated[bool, typer.Option("--again", help="run `shared` even if nothing has changed since its last up")] = False,
) -> None:
    """Estate, engine, stacks `shared` and STACK with the policy pack, then days of data through the exported jobs. Safe to repeat.

    `--stack shared` deploys that stack alone.
    """
    paths = Paths.from_environment()
    started = time.monotonic()
    if stack_files.is_environment(paths.repository, stack):
        bring_up.deploy(paths, stack, say=_say, again=again)
        days = 0 if no_day else day
    else:
        bring_up.deploy_shared(paths, say=_say, again=again)
        days = 0
    for number in range(1, days + 1):
        bring_up.run_day(paths, stack, day=number, rows=rows, say=_say)
    print_status(facts.collect(paths))
    bring_up.quicken(paths, say=_say)
    _say(f"up after {time.monotonic() - started:.0f} s; console: {facts.console_url(paths)}")


@app.command()
def day(number: Annotated[int, typer.Argument(min=1, max=2)], stack: EnvironmentOption = "dev", rows: RowsOption = 50_000) -> None:
    """Land the source files of a day and run the daily jobs, whether or not anything new landed."""
    bring_up.run_day(Paths.from_environment(), stack, day=number, rows=rows, say=_say, always=True)


@app.command()
def stream(
    stack: EnvironmentOption = "dev",
    events: Annotated[int, typer.Option(min=1, help="messages to send, about; a fiftieth of them breaks the contract")] = 5_000,
    seed: Annotated[int | None, typer.Option(help="the same seed sends the same events, which are repeats the second time")] = None,
    kill: Annotated[bool, typer.Option("--kill", help="kill -9 the job in the middle of its batch, then run it again")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable, on stdout")] = False,
) -> None:
    """Send contact events to the Kafka broker, which is started if need be, and run the deployed stream over them."""
    from local_estate import stream as contact_events  # brings a Kafka client, which no other command needs

    def say(line: str) -> None:
        (Console(stderr=True, highlight=False) if as_json else out).print(line, markup=False)

    number = int(time.time()) if seed is None else seed
    done = contact_events.stream(Paths.from_environment(), stack, events=events, seed=number, kill=kill, say=say)
    if as_json:
        print(json.dumps({"seed": number, **asdict(done)}, indent=2))
        return
    for run in done.runs:
        _say(f"run {run.run_id}: {run.result} after {run.seconds:.1f} s")
        for line in run.said:
            _say(f"  {line}")
    changed = Table(
        "table", "before", *(f"after run {run.run_id}" for run in done.runs), title="Rows", title_justify="left", show_edge=False
    )
    for name in done.changed:
        changed.add_row(name, str(done.before.get(name, 0)), *(str(run.rows.get(name, 0)) for run in done.runs))
    out.print(changed)


@app.command()
def run(
    job: Annotated[str, typer.Argument(help="a name of the output job_ids")],
    parameters: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="job parameters")] = None,
    stack: EnvironmentOption = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable, on stdout")] = False,
) -> None:
    """Run one job by the id that the stack exports, and print what it says. Exit code 1 if it fails."""
    if mistaken := [each for each in parameters or () if "=" not in each]:
        raise typer.BadParameter(f"{', '.join(mistaken)}: write NAME=VALUE", param_hint="parameters")
    given = dict(each.partition("=")[::2] for each in parameters or ())
    done = ask.run_job(Paths.from_environment(), stack, job, given, progress=_note)
    if as_json:
        print(json.dumps({**asdict(done), "parameters": given}, indent=2))
    else:
        for line in done.said:
            print(line)
        said = f" ({ask.written(given)})" if given else ""
        _say(f"run {done.run_id}: {done.result}{said} {done.error}".rstrip())
    if done.result != "SUCCESS":
        raise typer.Exit(1)


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="one statement; names of tables have three parts")],
    stack: EnvironmentOption = "dev",
    groups: Annotated[str | None, typer.Option("--as", metavar="GROUPS", help="as a member of these groups alone; '' for none")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="columns with their types, and rows, on stdout")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="with a header, on stdout; NULL is empty")] = False,
) -> None:
    """Run a statement on the stack's SQL warehouse, as the deployer or as somebody in GROUPS (`a,b`). Ctrl-C cancels it."""
    members = None if groups is None else [name for name in groups.split(",") if name]
    try:
        found = ask.query(Paths.from_environment(), stack, statement, groups=members)
    except ask.Cancelled as cancelled:
        _note(str(cancelled))
        raise typer.Exit(130) from None
    if as_json:
        print(json.dumps(answers.as_json(found), indent=2))
    elif as_csv:
        print(answers.as_csv(found), end="")
    else:
        for part in answers.shown(found, out.width):
            out.print(part)


@app.command()
def preview(
    stack: StackOption = "dev",
    expect_no_changes: Annotated[bool, typer.Option("--expect-no-changes", help="exit code 4 if anything would change")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="look first at what has been changed outside of Pulumi")] = False,
    full: Annotated[bool, typer.Option("--full", help="every property, every value to its end")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable, on stdout (docs/preview.md)")] = False,
) -> None:
    """What `up` would change, with the policy pack's verdict. Exit code 1 is a failure, 3 a policy that denies or could not run."""
    paths = Paths.from_environment()
    bring_up.prepare(paths, say=_note if as_json else _say)
    packs, config_file = [PolicyPack.of(paths, stack)], bring_up.released_config(paths, stack)
    report = Stacks(paths).preview_report(stack, packs, refresh=refresh, expect_no_changes=expect_no_changes, config_file=config_file)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print_report(report, out, full=full)
    raise typer.Exit(report.exit_code)


@app.command()
def destroy(stack: StackOption = "dev", yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False) -> None:
    """Delete every resource of one stack, its data too, after saying what goes (protected ones refuse)."""
    paths = Paths.from_environment()
    if not facts.resources(paths, stack):
        _say(f"stack {stack} is not deployed here: there is nothing to destroy")
        return
    bring_up.prepare(paths, say=_say)
    doomed = take_down.doomed(paths, stack, facts.row_counts(paths))
    for line in doomed.lines():
        _say(line)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("nobody can be asked here whether all this may go; a script says --yes", param_hint="--yes")
        typer.confirm(f"destroy stack {stack}?", abort=True)
    take_down.destroy(paths, stack)


@app.command()
def down() -> None:
    """Stop the service, its Spark and the Kafka broker; the state stays for the next `up`."""
    _say("stopped" if _stop(Paths.from_environment()) else "nothing was running")


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False) -> None:
    """Stop everything and delete its state, the Pulumi state and Kafka's messages with it. Tools stay."""
    paths = Paths.from_environment()
    if not yes and sys.stdin.isatty():
        typer.confirm(f"delete everything under {paths.home}?", abort=True)
    _stop(paths)
    shutil.rmtree(paths.home, ignore_errors=True)
    _say(f"deleted {paths.home}")


@app.command()
def status(
    stack: Annotated[
        str | None,
        typer.Option("--stack", "-s", help="of one environment; all without it", callback=_known(stack_files.require_environment)),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable, on stdout")] = False,
) -> None:
    """What exists, what ran, how many rows."""
    paths = Paths.from_environment()
    collected = facts.collect(paths)
    if stack:
        collected = facts.of_stack(collected, paths, stack)
    if as_json:
        print(json.dumps(collected, indent=2))
    else:
        print_status(collected)


@app.command()
def env(
    stack: EnvironmentOption = "dev",
    with_airflow: Annotated[bool, typer.Option("--airflow", help="for an Airflow too, with a token of a day for it")] = False,
) -> None:
    """Exports for a shell: `eval "$(.venv/bin/estate env)"`, then pulumi, databricks-sdk and, with `--airflow`, Airflow find the estate."""
    paths = Paths.from_environment()
    found = _shell_environment(paths, stack)
    if with_airflow:
        facts.outputs(paths, stack)  # without the stack there is nothing to connect to, and the error says so
        found |= airflow.environment(paths, stack)
    for name, value in sorted(found.items()):
        print(f"export {name}={shlex.quote(value)}")
    # Of an `eval` before the stack was destroyed.
    if gone := [name for name in facts.OF_A_STACK if name not in found]:
        print(f"unset {' '.join(gone)}")


@app.command()
def shell(stack: EnvironmentOption = "dev") -> None:
    """A shell with these exports."""
    paths = Paths.from_environment()
    bring_up.prepare(paths, say=_say)
    command = os.environ.get("SHELL", "/bin/sh")
    kept = {name: value for name, value in os.environ.items() if name not in facts.OF_A_STACK}
    os.execvpe(command, [command], {**kept, **_shell_environment(paths, stack)})  # noqa: S606  the user's own shell


def _shell_environment(paths: Paths, stack: str) -> dict[str, str]:
    own = engine_variables(paths, engine.prepare(paths), os.environ.get("PATH", os.defpath))
    if not facts.is_deployed(paths, stack):
        _note(f"stack {stack} is not deployed here: pulumi is set up, no workspace is. `make up STACK={stack}`, then evaluate this again")
        return own
    own["LAKEHOUSE_STACK_OUTPUTS"] = str(facts.outputs_file(paths, stack))
    return own | facts.databricks_environment(paths, stack)


def _stop(paths: Paths) -> bool:
    """True when something was running."""
    return any([ServiceProcess(paths).stop(), KafkaBroker(paths).stop()])


def _say(line: str) -> None:
    out.print(line, markup=False)


def _note(line: str) -> None:
    """On stderr: what the command prints may be read by a program."""
    Console(stderr=True, highlight=False).print(f"note: {line}", markup=False, soft_wrap=True)


_NUMBERS = {"resources", "rows", "seconds", "met", "below target", "missed", "not measured", "least pass rate", "freshness p95"}


def print_status(collected: dict[str, Any]) -> None:
    class Shown(Table):
        """Cells are what they say: a name may be a number in a program's JSON, or look like markup."""

        def add_row(self, *cells: Any, **options: Any) -> None:
            super().add_row(*(escape(str(cell)) for cell in cells), **options)

    def table(title: str, *columns: str) -> Table:
        made = Shown(title=title, title_justify="left", show_edge=False, header_style="bold")
        for column in columns:
            made.add_column(column, justify="right" if column in _NUMBERS else "left")
        return made

    stacks = table("Stacks", "stack", "resources")
    for name, stack in collected["stacks"].items():
        stacks.add_row(name, str(stack["resources"]))
    tables = table("Tables", "table", "rows")
    for entry in collected["tables"]:
        tables.add_row(entry["name"], "?" if entry["rows"] is None else f"{entry['rows']:,}")
    if broker := collected["broker"]:
        _say(f"Kafka broker: {broker}")
    quality = table(
        "Quality, last measured",
        "layer",
        "met",
        "below target",
        "missed",
        "not measured",
        "least pass rate",
        "freshness p95",
        "the first of them",
    )
    for layer in collected["quality"]:
        rate, seconds = layer["pass_rate_pct"], layer["freshness_p95_seconds"]
        quality.add_row(
            layer["layer"],
            *(str(layer[name]) for name in ("met", "below_target", "missed", "not_measured")),
            "–" if rate is None else f"{rate:.2f} %",
            "–" if seconds is None else f"{seconds:,.0f} s",
            layer["worst"],
        )
    runs = table("Last runs", "job", "parameters", "run id", "result", "seconds")
    for run in collected["runs"][:15]:
        runs.add_row(run["job"], ask.written(run.get("parameters") or {}), str(run["run_id"]), run["result"], f"{run['seconds']:.1f}")
    for part in (stacks, tables, quality, runs):
        if part.row_count:
            out.print(part)
            out.print()


def main(run: Callable[[], Any] = app) -> None:
    """Explained failures end in one message and exit code 1; anything else keeps its traceback."""
    try:
        run()
    except bring_up.EXPLAINED as error:
        _fail(str(error))
    except OSError as error:
        if said := full_disk.explained(error, Paths.from_environment().home):
            _fail(said)
        raise


def _fail(said: str) -> NoReturn:
    Console(stderr=True, highlight=False).print(f"error: {said}", markup=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
