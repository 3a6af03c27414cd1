"""`pulumi-language-python [flags] ENGINE_ADDRESS`: prints its port and serves LanguageRuntime until the engine ends it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# Started as a file by the wrapper, from any working directory: the checkout replaces this folder on the path, so that nothing
# here shadows the standard library and `local_estate` is that of the checkout which is calling.
sys.path[0] = str(Path(__file__).resolve().parents[3])


def _without_its_code(package: str) -> None:
    """Makes a package's modules importable without running its `__init__`.

    The host needs the SDK's protocol alone; the SDK itself takes most of a second to import, and the engine starts a host
    twice per command. Programs and packs run in processes of their own and import all of it.
    """
    spec = importlib.util.find_spec(package)
    if spec is not None:
        sys.modules[package] = importlib.util.module_from_spec(spec)


_without_its_code("pulumi")
_without_its_code("pulumi.runtime")

from local_estate.engine.language_host.host import serve  # noqa: E402

serve(engine_address=next((word for word in reversed(sys.argv[1:]) if not word.startswith("-")), ""))
