"""Engines of offline computations."""

from typing import Any

from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.errors import InputNotFoundError
from regulars.offline.structures import EngineBackend


def require_engine(name: str) -> None:
    """Raises InputNotFoundError for the name of an unknown engine."""
    if name not in ("duckdb", "spark"):
        raise InputNotFoundError(f"Unknown engine {name!r}. Allowed: duckdb, spark.")


def create_engine(name: str, spark: Any = None, master: str | None = None) -> EngineBackend:
    """Creates the engine `duckdb` or `spark`; for Spark with an existing session or the URL of a master."""
    if name == "duckdb":
        return DuckDBEngine()
    # Imported here, because Spark is optional.
    from regulars.offline.engines.spark import SparkEngine

    return SparkEngine(spark, master)
