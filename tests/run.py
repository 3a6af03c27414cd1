"""`make test`: the layers in order of cost. Arguments after `--` go to every pytest run; names select layers."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from local_estate import bring_up, environments
from local_estate.paths import Paths

REPOSITORY = Path(__file__).resolve().parent.parent

# Light layers run in two processes; those with a JVM or an engine of their own one after the other: two cores carry no more.
LAYERS: dict[str, tuple[str, ...]] = {
    "unit": ("-n", "2"),
    "component": ("-n", "2"),
    "policy": (),
    "api": ("-n", "2", "--dist", "loadfile"),
    "spark": ("-n", "2", "--dist", "loadfile"),
    "estate": (),
}


def run(layers: list[str], extra: list[str]) -> int:
    paths = Paths.from_environment()
    bring_up.prepare_tools(paths, say=print, also=[lambda: environments.ensure("airflow")])
    failed: list[str] = []
    started = time.monotonic()
    for layer in layers:
        directory = REPOSITORY / "tests" / layer
        if not any(directory.rglob("test_*.py")):
            continue
        print(f"\n== {layer} ({time.monotonic() - started:.0f} s since start)", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", str(directory), *LAYERS[layer], *extra]
        if subprocess.run(command, cwd=REPOSITORY, check=False).returncode:
            failed.append(layer)
    print(
        f"\nlayers run: {', '.join(layers)} in {time.monotonic() - started:.0f} s; failed: {', '.join(failed) or 'none'}",
        flush=True,
    )
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layers", nargs="*", metavar="LAYER", help=f"of {', '.join(LAYERS)}; all without one")
    arguments, extra = parser.parse_known_args()
    if unknown := set(arguments.layers) - set(LAYERS):
        parser.error(f"no such layer: {', '.join(sorted(unknown))}; there are {', '.join(LAYERS)}")
    return run(arguments.layers or list(LAYERS), [item for item in extra if item != "--"])


if __name__ == "__main__":
    sys.exit(main())
