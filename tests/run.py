"""`make test`: the layers in order of cost. Arguments after `--` go to every pytest run; names select layers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local_estate import bring_up, environments
from local_estate.paths import Paths
from local_estate.spark import aot_cache
from tests import changed, durations

REPOSITORY = Path(__file__).resolve().parent.parent
LAYER_SECONDS = REPOSITORY / "build" / "test-layers.json"

# Light layers run in two processes; those with a JVM or an engine of their own one after the other: two cores carry no more.
LAYERS: dict[str, tuple[str, ...]] = {
    "unit": ("-n", "2"),
    "component": ("-n", "2"),
    "policy": (),
    "api": ("-n", "2", "--dist", "loadfile"),
    "spark": ("-n", "2", "--dist", "loadfile"),
    "estate": (),
}
WITH_JVM = {"api", "spark", "estate"}


def run(layers: Sequence[str], extra: Sequence[str]) -> int:
    paths = Paths.from_environment()
    bring_up.prepare_tools(paths, say=print, also=[lambda: environments.ensure("airflow")])
    # While the layers without a JVM run; those with one gain more from it than the wait for its end takes.
    training = aot_cache.make_in_background(paths)
    failed: list[str] = []
    started = time.monotonic()
    for layer in layers:
        if training and layer in WITH_JVM:
            _wait_for(training, paths)
            training = None
        began = time.monotonic()
        print(f"\n== {layer} ({began - started:.0f} s since start)", flush=True)
        if _layer(layer, extra):
            failed.append(layer)
        _keep(layer, time.monotonic() - began)
    _report()
    print(
        f"\nlayers run: {', '.join(layers) or 'none'} in {time.monotonic() - started:.0f} s; failed: {', '.join(failed) or 'none'}",
        flush=True,
    )
    return 1 if failed else 0


def _layer(layer: str, extra: Sequence[str]) -> int:
    directory = REPOSITORY / "tests" / layer
    # xdist begins with the files of most tests; durations of an earlier run know better.
    order = ["--no-loadscope-reorder"] if "loadfile" in LAYERS[layer] and durations.FILE.exists() else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.durations", str(directory), *LAYERS[layer], *order, *extra]
    return subprocess.run(command, cwd=REPOSITORY, check=False).returncode


def _wait_for(training: subprocess.Popen[bytes], paths: Paths) -> None:
    waited = time.monotonic()
    if training.wait():
        print(f"no ahead-of-time cache for Spark's JVMs, which start without: see {aot_cache.log(paths)}", flush=True)
    else:
        print(f"ahead-of-time cache for Spark's JVMs: made (waited {time.monotonic() - waited:.0f} s)", flush=True)


def _keep(layer: str, seconds: float) -> None:
    """The last duration of each layer, of whichever run it was part of."""
    try:
        known = json.loads(LAYER_SECONDS.read_text())
    except (OSError, ValueError):
        known = {}
    LAYER_SECONDS.parent.mkdir(parents=True, exist_ok=True)
    LAYER_SECONDS.write_text(json.dumps({**known, layer: round(seconds, 1)}, indent=1))


def _report() -> None:
    print("\n" + "\n".join(durations.slowest(durations.read(durations.FILE))))
    print(
        f"seconds of each layer's last run are in {LAYER_SECONDS.relative_to(REPOSITORY)}, of each test's in "
        f"{durations.FILE.relative_to(REPOSITORY)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layers", nargs="*", metavar="LAYER", help=f"of {', '.join(LAYERS)}; all without one")
    parser.add_argument("--changed", action="store_true", help="the layers whose sources differ from main's last commit")
    arguments, extra = parser.parse_known_args()
    if unknown := set(arguments.layers) - set(LAYERS):
        parser.error(f"no such layer: {', '.join(sorted(unknown))}; there are {', '.join(LAYERS)}")
    layers = arguments.layers or list(LAYERS)
    if arguments.changed:
        choice = changed.choose_changed(REPOSITORY)
        layers = [layer for layer in layers if layer in choice.layers]
        print(f"CHANGED: {', '.join(layers) or 'no layer'}: {choice.why}", flush=True)
        if not layers:
            return 0
    return run(layers, [item for item in extra if item != "--"])


if __name__ == "__main__":
    sys.exit(main())
