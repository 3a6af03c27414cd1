"""`python -m local_estate.engine prepare` gets the engine; `… env` prints the exports for a shell."""

from __future__ import annotations

import os
import shlex
import sys

from local_estate.engine import prepare
from local_estate.engine.environment import engine_variables
from local_estate.engine.errors import EngineError
from local_estate.paths import Paths


def main(arguments: list[str]) -> int:
    if arguments not in (["prepare"], ["env"]):
        print("usage: python -m local_estate.engine prepare | env", file=sys.stderr)
        return 2
    paths = Paths.from_environment()
    try:
        cli = prepare(paths)
    except EngineError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    if arguments == ["env"]:
        for name, value in engine_variables(paths, cli, os.environ.get("PATH", os.defpath)).items():
            print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
