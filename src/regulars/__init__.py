"""Regulars: what is known of one member and of all members, always true."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regulars.offline.compute import compute
    from regulars.offline.report import compute_report

__all__ = ["compute", "compute_report"]


def __getattr__(name: str) -> Any:
    # Engines are loaded where they are asked for: a server's processes have no use for them.
    if name == "compute":
        from regulars.offline.compute import compute

        return compute
    if name == "compute_report":
        from regulars.offline.report import compute_report

        return compute_report
    raise AttributeError(f"module 'regulars' has no attribute {name!r}")
