"""The engines that are held to the oracle, each with tables in and a table out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engines import cluster
from engines.computing import Compute, on_duckdb, on_spark


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The session of the whole run."""
    with cluster.session() as session:
        yield session


@pytest.fixture(params=["duckdb", "spark"])
def compute(request: pytest.FixtureRequest) -> Compute:
    """`regulars.compute` on each engine; always an Arrow table."""
    return on_duckdb if request.param == "duckdb" else on_spark(request.getfixturevalue("spark"))
