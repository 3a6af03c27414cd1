"""A JVM with an ahead-of-time cache that is no cache: it starts, it answers, and its log says what was wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from local_estate.paths import Paths
from local_estate.spark.jvm import Jvm
from local_estate.spark.launch import Launch


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """The tools of this checkout with a folder of caches of their own."""
    real = Paths.from_environment()
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in real.tools.iterdir():
        if tool.name != "aot":
            (tools / tool.name).symlink_to(tool)
    return replace(real, tools=tools, home=tmp_path / "estate")


def test_a_damaged_cache_fails_no_start(paths: Paths) -> None:
    launch = Launch.of(paths)
    launch.caches.mkdir()
    launch.cache.write_bytes(b"not a cache" * 1000)
    jvm = Jvm(paths, heap="1g")
    try:
        assert jvm.ask("GET", "/health")["status"] == "ok"
        said = (paths.logs / "spark.log").read_text()
        assert "[warning][" in said, said
    finally:
        jvm.close()
