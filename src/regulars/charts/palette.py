"""The colours of charts, in light and dark, as the variables of charts.css."""

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parent / "static"
"""The folder of the files that a page with charts needs."""

_VARIABLE = re.compile(r"(--chart-[\w-]+):\s*light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")


class Theme(Enum):
    """A set of colours; its value is the position within light-dark()."""

    LIGHT = 0
    DARK = 1


@cache
def colours(theme: Theme) -> Mapping[str, str]:
    """The colour by the name of its variable, such as --chart-1."""
    declared = (STATIC / "charts.css").read_text()
    return {name: pair[theme.value] for name, *pair in _VARIABLE.findall(declared)}


def with_colours(spec: Any, theme: Theme) -> Any:
    """A specification with the colours of a theme in place of their variables."""
    if isinstance(spec, dict):
        return {key: with_colours(value, theme) for key, value in spec.items()}
    if isinstance(spec, list):
        return [with_colours(each, theme) for each in spec]
    if isinstance(spec, str) and spec.startswith("var(--"):
        return colours(theme)[spec[4:-1]]
    return spec
