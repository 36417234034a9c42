"""Small tables of purchases, and the values computed from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import regulars

AS_OF = "2026-11-01T00:00:00Z"
HEADER = "external_id,profile,transacted_at,total"

Row = dict[str, Any]


def table(**columns: Sequence[Any]) -> pa.Table:
    """One purchase of M1 on the first of October, with other or further columns."""
    defaults = {"external_id": ["T1"], "profile": ["M1"], "transacted_at": ["2026-10-01"], "total": ["5.00"]}
    return pa.table({**defaults, **columns})


def write_csv(folder: Path, *rows: str, more: str = "") -> Path:
    """A file of purchases."""
    path = folder / "sales.csv"
    path.write_text("\n".join((HEADER + more, *rows)) + "\n")
    return path


def compute_values(transactions: Any, *, as_of: Any = AS_OF, **arguments: Any) -> dict[str, Row]:
    """The values of each profile."""
    computed = regulars.compute(transactions, as_of=as_of, **arguments)
    return {row["profile_id"]: row for row in computed.to_pylist()}


def compute_spend(transactions: Any, **arguments: Any) -> Mapping[str, str]:
    """Spend of each profile."""
    computed = compute_values(transactions, values=["spend_all"], **arguments)
    return {profile: str(row["spend_all"]) for profile, row in computed.items()}
