"""Attaches a task's Python process to its session in the warm JVM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from local_estate.spark.private_line import PrivateLine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class SessionFactory:
    """`SparkSession.builder.getOrCreate()` and `SparkContext.getOrCreate()` end here."""

    def __init__(self, line: PrivateLine, *, libraries: Path) -> None:
        self._line = line
        self._libraries = libraries
        self._session: SparkSession | None = None
        self._attaching = threading.RLock()

    def get(self) -> SparkSession:
        """The one session of this task; the first call takes a fraction of a second."""
        with self._attaching:
            if self._session is None:
                self._session = self._attach()
            return self._session

    def _attach(self) -> SparkSession:
        from pyspark import SparkConf, SparkContext
        from pyspark.java_gateway import launch_gateway
        from pyspark.sql import SparkSession

        from local_estate.spark.cloud_files import teach_cloud_files

        opened = self._line.ask("spark")
        os.environ.update(PYSPARK_GATEWAY_PORT=str(opened["gateway_port"]), PYSPARK_GATEWAY_SECRET=opened["gateway_secret"])
        try:
            gateway = launch_gateway()
        finally:
            for name in ("PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"):
                os.environ.pop(name, None)
        active = gateway.jvm.org.apache.spark.sql.SparkSession.active()
        java_context = gateway.jvm.org.apache.spark.api.java.JavaSparkContext(active.sparkContext())
        interrupt = signal.getsignal(signal.SIGINT)
        # Python workers of this task see its libraries, those of other tasks do not.
        workers = {"PYTHONPATH": str(self._libraries)}
        conf = SparkConf(_jconf=java_context.getConf())
        context = SparkContext(gateway=gateway, jsc=java_context, conf=conf, environment=workers)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)  # PySpark's handler would cancel the jobs of everybody
        session = SparkSession(context, active)
        # The JVM's default session is nobody's; this one is active on this task's threads only.
        gateway.jvm.org.apache.spark.sql.SparkSession.clearDefaultSession()
        teach_cloud_files()
        _name_the_cause()
        return session

    def take_over_sessions(self, module: ModuleType) -> None:
        factory = self
        builder = module.SparkSession.Builder

        def get_or_create(self: Any) -> SparkSession:
            session = factory.get()
            for name, value in self._options.items():
                if name.startswith("spark.sql.") and session.conf.isModifiable(name):
                    session.conf.set(name, value)
            return session

        def stop(self: Any) -> None:
            print("spark.stop() does nothing here: the cluster belongs to all tasks.", file=sys.stderr)

        builder.getOrCreate = get_or_create
        builder.create = get_or_create
        module.SparkSession.stop = stop

    def take_over_contexts(self, module: ModuleType) -> None:
        factory = self

        def get_or_create(cls: Any, conf: Any = None) -> Any:
            return factory.get().sparkContext

        def stop(self: Any) -> None:
            print("SparkContext.stop() does nothing here: the cluster belongs to all tasks.", file=sys.stderr)

        module.SparkContext.getOrCreate = classmethod(get_or_create)
        module.SparkContext.stop = stop


class LazySession:
    """The `spark` of `databricks.sdk.runtime`; becomes the session at its first use."""

    def __init__(self, factory: SessionFactory) -> None:
        self._factory = factory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._factory.get(), name)

    def __repr__(self) -> str:
        return "<SparkSession of this task>"


def _name_the_cause() -> None:
    """Spark wraps what a task met ("Task failed while writing rows"); a denial or a new column is said first, as on Databricks."""
    from pyspark.errors.exceptions import captured

    plain = captured.convert_exception

    def convert(failure: Any) -> Any:
        converted = plain(failure)
        cause = failure.getCause()
        for _ in range(20):
            if cause is None:
                break
            if cause.getClass().getName().startswith("mt.estate.") and cause.getMessage() not in (converted._desc or ""):
                converted._desc = f"{cause.getMessage()}\n{converted._desc}"
                break
            cause = cause.getCause()
        return converted

    captured.convert_exception = convert
