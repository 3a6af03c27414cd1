"""`platform/provider` as the engine starts it: a process of its own that prints its port."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from local_estate.paths import REPOSITORY
from tests.api.providers_engine import Engine

FUNCTION = "sqlobjects:index:SqlFunction"


@contextmanager
def plugin(variables: Mapping[str, str]) -> Iterator[Engine]:
    """`variables` are all it has of DATABRICKS_* and ARM_*."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DATABRICKS_", "ARM_"))}
    process = subprocess.Popen(
        [sys.executable, "-u", str(REPOSITORY / "platform" / "provider"), "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        text=True,
        env={**inherited, **variables},
    )
    try:
        assert process.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            yield Engine(provider_pb2_grpc.ResourceProviderStub(channel))
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
