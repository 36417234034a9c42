"""Regulars: values of each member and reports of all members, always consistent with the facts."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regulars.core.errors import MissingDependencyError
    from regulars.offline.compute import compute
    from regulars.offline.errors import InputNotFoundError, InvalidInputError
    from regulars.offline.report import compute_report
    from regulars.offline.segment import compute_segment
    from regulars.offline.value_list import Value, values
    from regulars.query.errors import InvalidParametersError

__all__ = [
    "InputNotFoundError",
    "InvalidInputError",
    "InvalidParametersError",
    "MissingDependencyError",
    "Value",
    "compute",
    "compute_report",
    "compute_segment",
    "values",
]

_MODULES = {
    "InputNotFoundError": "regulars.offline.errors",
    "InvalidInputError": "regulars.offline.errors",
    "InvalidParametersError": "regulars.query.errors",
    "MissingDependencyError": "regulars.core.errors",
    "Value": "regulars.offline.value_list",
    "compute": "regulars.offline.compute",
    "compute_report": "regulars.offline.report",
    "compute_segment": "regulars.offline.segment",
    "values": "regulars.offline.value_list",
}


def __getattr__(name: str) -> Any:
    # Engines are imported on first use: server processes don't need them.
    if name not in _MODULES:
        raise AttributeError(f"module 'regulars' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
