"""Colours of charts differ from each other and from the surface, for people with any kind of colour vision."""

from __future__ import annotations

from itertools import combinations
from math import dist

import pytest

from regulars.charts.palette import Theme, colours, with_colours

# Machado, Oliveira and Fernandes 2009, severity 1: protanopia, deuteranopia, tritanopia, in linear RGB.
VISION = {
    "trichromatic": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
Colour = tuple[float, ...]


def linear(colour: str) -> Colour:
    """The linear red, green and blue of #rrggbb."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple([part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts])


def luminance(colour: str) -> float:
    """The relative luminance of WCAG."""
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def lab(rgb: Colour) -> Colour:
    """CIELAB of linear RGB."""
    matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [
        max(0.0, sum(weight * part for weight, part in zip(row, rgb, strict=True))) / white
        for row, white in zip(matrix, (0.9505, 1.0, 1.089), strict=True)
    ]
    x, y, z = (each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116 for each in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(colour: str, vision: str) -> Colour:
    """How a colour looks, in CIELAB."""
    rgb = linear(colour)
    return lab(tuple([sum(w * part for w, part in zip(row, rgb, strict=True)) for row in VISION[vision]]))


@pytest.mark.parametrize("theme", Theme)
def test_colours_have_contrast_and_differ_for_every_vision(theme: Theme) -> None:
    palette = colours(theme)
    surface = luminance(palette["--chart-surface"])
    series = {name: value for name, value in palette.items() if name[8:].isdigit() or name == "--chart-rest"}
    assert len(series) == 7
    for name, minimum in {**dict.fromkeys(series, 3.0), "--chart-text": 7.0, "--chart-muted": 4.5}.items():
        first, second = sorted((luminance(palette[name]), surface))
        assert (second + 0.05) / (first + 0.05) >= minimum, name
    for vision in VISION:
        for one, other in combinations(series, 2):
            distance = dist(seen(series[one], vision), seen(series[other], vision))
            assert distance >= 18, (vision, one, other, distance)


def test_variables_are_replaced_anywhere_in_a_specification() -> None:
    spec = {"a": ["var(--chart-1)", 2, {"b": "var(--chart-grid)"}], "c": None, "d": "text"}
    light = colours(Theme.LIGHT)
    assert with_colours(spec, Theme.LIGHT) == {
        "a": [light["--chart-1"], 2, {"b": light["--chart-grid"]}],
        "c": None,
        "d": "text",
    }
