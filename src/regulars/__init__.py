"""Regulars: values of each member and reports of all members, always consistent with the facts."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regulars.offline.compute import compute
    from regulars.offline.report import compute_report
    from regulars.offline.segment import compute_segment

__all__ = ["compute", "compute_report", "compute_segment"]


def __getattr__(name: str) -> Any:
    # Engines are imported on first use: server processes don't need them.
    if name == "compute":
        from regulars.offline.compute import compute

        return compute
    if name == "compute_report":
        from regulars.offline.report import compute_report

        return compute_report
    if name == "compute_segment":
        from regulars.offline.segment import compute_segment

        return compute_segment
    raise AttributeError(f"module 'regulars' has no attribute {name!r}")
