"""A provider as the engine runs it: a process that says its port and ends with the engine."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import version

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from local_estate.paths import REPOSITORY


@pytest.mark.parametrize(("package", "sdk"), [("azure_native", "pulumi_azure_native"), ("databricks", "pulumi_databricks")])
def test_a_provider_starts_without_its_sdk_and_ends_with_its_engine(package: str, sdk: str) -> None:
    program = f"from local_estate.providers.{package} import main; main()"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            assert stub.GetPluginInfo(empty_pb2.Empty()).version == version(sdk)
            with pytest.raises(grpc.RpcError) as refused:
                stub.Construct(provider_pb2.ConstructRequest())
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        process.stdout.close()  # the engine is gone
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()


def test_the_protocol_alone_is_imported_and_neither_pulumi_nor_an_sdk() -> None:
    program = (
        "import sys\n"
        "from local_estate.providers.protocol import enter_lightly\n"
        "enter_lightly()\n"
        "import local_estate.providers.server, local_estate.providers.databricks.provider, local_estate.providers.azure_native.provider\n"
        "print([name for name in ('pulumi.output', 'pulumi_databricks', 'pulumi_azure_native', 'databricks.sdk') if name in sys.modules])"
    )
    started = time.monotonic()
    found = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert time.monotonic() - started < 10  # under a second alone; the machine may be busy
