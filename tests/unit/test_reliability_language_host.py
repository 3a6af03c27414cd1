"""What the language host cannot do is refused with the way around it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from local_estate.engine.language_host.host import LanguageHost


def test_code_that_cannot_be_written_is_refused_with_the_flag_that_asks_for_none() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine_address=""), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as refused:
        language_pb2_grpc.LanguageRuntimeStub(channel).GenerateProgram(
            language_pb2.GenerateProgramRequest(source={"main.pp": 'config "size" "int" {}'})
        )
    server.stop(None).wait()
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "the import is in the state" in refused.value.details()
    assert "--generate-code=false" in refused.value.details()
