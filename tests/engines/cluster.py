"""Spark on this machine, started once for the run: within its driver, or for long runs as a cluster of two executors."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

CLUSTER = "local-cluster[2,1,1024]"
IN_DRIVER = "local[2]"

# What runs for a minute is not worth compiling well. The place for what is compiled is by itself so small then that
# after a few computations much is discarded and compiled again. Spark's classes are verified by those who build them.
_JAVA = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)

_SETTINGS = {
    # A session of the user has settings of its own.
    "spark.sql.session.timeZone": "Pacific/Auckland",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Plans are not looked at, and writing them takes longer than many stages.
    "spark.sql.maxPlanStringLength": "0",
    "spark.sql.ui.explainMode": "simple",
    "spark.log.level": "OFF",
    # Few rows in many parts would spend their time on starting tasks.
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.driver.extraJavaOptions": _JAVA,
    "spark.executor.extraJavaOptions": _JAVA,
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}

# Compiling a plan takes longer than interpreting it for a few hundred rows. Long runs compile, as users do.
_INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@contextmanager
def session(*, is_cluster: bool) -> Iterator[Any]:
    """A session in the driver, or on a cluster. CI requires Java."""
    if shutil.which("java") is None:
        reason = "there is no Java for Spark: apt-get install openjdk-17-jre-headless"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="regulars-spark-", ignore_cleanup_errors=True) as folder:
        _set_up(Path(folder))
        started = _started(folder, CLUSTER, {}) if is_cluster else _started(folder, IN_DRIVER, _INTERPRETED)
        try:
            yield started
        finally:
            started.stop()


def executors(spark: Any) -> list[psutil.Process]:
    """Returns the processes of the executors of a cluster."""
    driver = psutil.Process(spark.sparkContext._gateway.proc.pid)
    return [each for each in driver.children(recursive=True) if _is_executor(each)]


def _is_executor(process: psutil.Process) -> bool:
    try:
        return _EXECUTOR in process.cmdline()
    except psutil.Error:
        # It has ended meanwhile.
        return False


_EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


def _set_up(folder: Path) -> None:
    """A home for Spark that is not the package's folder: a cluster writes its logs there."""
    import pyspark

    for each in ("bin", "jars"):
        (folder / each).symlink_to(Path(pyspark.__file__).parent / each)
    os.environ |= {"SPARK_HOME": str(folder), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder)}


def _started(folder: str, master: str, more: Mapping[str, str]) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("regulars-tests")
    for name, value in {**_SETTINGS, **more, "spark.sql.warehouse.dir": f"{folder}/warehouse"}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
