"""Regulars: values of each member and reports of all members, always consistent with the facts."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regulars.offline.compute import compute
    from regulars.offline.report import compute_report

__all__ = ["compute", "compute_report"]


def __getattr__(name: str) -> Any:
    # Engines are imported on first use: server processes don't need them.
    if name == "compute":
        from regulars.offline.compute import compute

        return compute
    if name == "compute_report":
        from regulars.offline.report import compute_report

        return compute_report
    raise AttributeError(f"module 'regulars' has no attribute {name!r}")
