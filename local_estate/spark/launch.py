"""How a JVM with Spark is started: options, class path and the ahead-of-time cache that belongs to both."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from local_estate.paths import Paths
from local_estate.spark.jars import PREFERRED_JAVA, Classpath, Jdk, class_path, find_jdk

# What Spark's launcher would pass; the launcher itself asks for a module that the wheel's JDK lacks.
_OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
)
# A cache is only good for a JVM with the options that made it; heap, folders and properties may differ.
_OPTIONS = (
    "-XX:+UseSerialGC",
    "-Xss4m",
    "-XX:ReservedCodeCacheSize=256m",
    "-XX:+IgnoreUnrecognizedVMOptions",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
)
# Java 24 took Unsafe's memory from whoever does not ask for it, and without it Netty has no allocator for Arrow: no Python UDF would run.
_SINCE_24 = ("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")
# The JVM warns on stdout, where the control server answers with its address.
_WARNINGS = ("-Xlog:disable", "-Xlog:all=warning:stderr")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A JDK, the JARs on its class path, and where their cache is or would be."""

    jdk: Jdk
    classes: Classpath
    caches: Path

    @classmethod
    def of(cls, paths: Paths) -> Launch:
        """Has fetched and compiled what was missing. Raises jars.ToolMissing."""
        jdk = find_jdk(paths)
        return cls(jdk=jdk, classes=class_path(paths, jdk), caches=paths.tools / "aot")

    @property
    def cache(self) -> Path:
        return self.caches / f"{self.key()}.aot"

    @property
    def can_cache(self) -> bool:
        return self.jdk.version >= PREFERRED_JAVA

    @property
    def has_cache(self) -> bool:
        return self.can_cache and self.cache.exists()

    @property
    def _options(self) -> tuple[str, ...]:
        return (*_OPTIONS, *(_SINCE_24 if self.jdk.version >= 24 else ()))

    def key(self) -> str:
        """Of all that the JVM compares, and of what it does not: another build of Java, other JARs, other options make another cache."""
        digest = hashlib.sha256(repr(self._options).encode())
        release = self.jdk.java.resolve().parent.parent / "release"
        digest.update(release.read_bytes() if release.exists() else str(self.jdk).encode())
        # Below a common folder: a checkout that was copied, with times and tools, keeps its cache.
        common = os.path.commonpath(self.classes.entries)
        for entry in self.classes.entries:
            file = os.stat(entry)
            digest.update(f"{os.path.relpath(entry, common)} {file.st_size} {int(file.st_mtime)}\n".encode())
        return digest.hexdigest()[:16]

    def command(self, heap: str, *options: str, cached: bool = True) -> list[str]:
        """`java` up to its class path; a main class follows. `cached` uses the cache where there is one."""
        cache = [f"-XX:AOTCache={self.cache}"] if cached and self.has_cache else []
        return [str(self.jdk.java), f"-Xmx{heap}", *self._options, *_WARNINGS, *cache, *options, "-cp", str(self.classes)]
