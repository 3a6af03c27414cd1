"""`python platform/provider ENGINE_ADDRESS`: what the engine starts. Prints its port and serves until the engine ends it."""

import sys
from pathlib import Path

# Started as a folder: the folder above replaces it on the path, so that this is the package `provider` wherever it is imported.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from provider.plugin import VERSION, SqlObjects  # noqa: E402
from provider.server import serve  # noqa: E402

serve(SqlObjects(), version=VERSION, arguments=sys.argv[1:])
