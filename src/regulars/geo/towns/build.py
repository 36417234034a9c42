"""Builds the search index of towns from the snapshot in the package: `python -m regulars.geo.towns.build FOLDER MIN_POPULATION`.

It is a process of its own: what it takes for some seconds, several hundred MB, is given back when it ends, and the
files are mapped by all processes that answer, which so share one copy.
"""

import math
import os
import sys
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regulars.geo.towns.normalize import normalize
from regulars.geo.towns.snapshot import TownRecord, read_snapshot

MIN_POPULATION = 500
"""Towns of at least so many people, unless said otherwise; 1000, 5000 and 15000 are there too."""

ISO_STATE_COUNTRIES = frozenset(("US", "CH", "BE", "GB"))
"""Countries whose states GeoNames writes as ISO 3166-2 does; elsewhere it has codes of its own."""

FIRST_WORD, MAIN_NAME, ENTRY_FLAGS = 1, 2, 4
"""A word that is found is the first of a name, and the name the town's own; `entry // FLAGS` is the town."""

TownColumns = dict[str, npt.NDArray[np.generic]]


def _most_populous_first(min_population: int) -> list[TownRecord]:
    towns = (each for each in read_snapshot() if each.population >= min_population)
    return sorted(towns, key=lambda town: (-town.population, town.geonameid))


def build_columns(towns: Sequence[TownRecord]) -> TownColumns:
    """All that is asked of towns, as arrays; a town is its place among them."""
    zones = sorted({each.timezone for each in towns})
    place = {zone: index for index, zone in enumerate(zones)}
    ids = np.array([each.geonameid for each in towns], np.int32)
    degrees = np.array([(each.latitude, each.longitude) for each in towns], np.float64)
    states = [each.admin1code if each.countrycode in ISO_STATE_COUNTRIES else "" for each in towns]
    return {
        "ids": ids,
        "by_id": np.argsort(ids).astype(np.uint32),
        "country": np.array([each.countrycode for each in towns], "S2"),
        "state": np.array(states, "S3"),
        "population": np.array([each.population for each in towns], np.int32),
        "weight": np.array([math.log10(max(each.population, 1)) for each in towns], np.float32),
        "degrees": degrees,
        "on_sphere": to_unit_sphere(degrees),
        "zone": np.array([place[each.timezone] for each in towns], np.uint16),
        "zones": np.array(zones, "S"),
        **_texts("name", [each.name for each in towns]),
        **_texts("folded", [normalize(each.name) for each in towns]),
        **_words(towns),
    }


def to_unit_sphere(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Points of latitude and longitude as points of a sphere of radius 1."""
    latitude, longitude = np.radians(degrees).T
    flat = np.cos(latitude)
    return np.stack((flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)), axis=1).astype(np.float32)


def _texts(called: str, texts: Sequence[str]) -> TownColumns:
    """Texts in a row, each after a line's end, and where each begins."""
    lines = [each.encode() for each in texts]
    starts = np.cumsum([1, *(len(each) + 1 for each in lines)])
    return {
        f"{called}_text": np.frombuffer(b"\n" + b"".join(each + b"\n" for each in lines), np.uint8),
        f"{called}_starts": starts.astype(np.uint32),
    }


def _words(towns: Sequence[TownRecord]) -> TownColumns:
    """Every word of every name in the order of what stands from there to the name's end, with its town."""
    text, starts, entries = bytearray(b"\n"), array("I"), array("I")
    rests: list[bytes] = []
    for index, town in enumerate(towns):
        own = normalize(town.name)
        for name in filter(None, dict.fromkeys((own, *map(normalize, town.alternatenames)))):
            line = name.encode() + b"\n"
            flags = MAIN_NAME if name == own else 0
            for at in _word_starts(line):
                starts.append(len(text) + at)
                entries.append(index * ENTRY_FLAGS + flags + (FIRST_WORD if at == 0 else 0))
                rests.append(line[at:])
            text += line
    order = sorted(range(len(rests)), key=rests.__getitem__)
    return {
        "text": np.frombuffer(bytes(text), np.uint8),
        "starts": np.array(starts, np.uint32)[order],
        "entries": np.array(entries, np.uint32)[order],
    }


def _word_starts(line: bytes) -> Iterator[int]:
    at = 0
    while True:
        yield at
        at = line.find(b" ", at) + 1
        if not at:
            return


def build(folder: Path, min_population: int = MIN_POPULATION) -> None:
    """Makes a folder of files, a column each; it is there whole or not at all."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as making:
        ready = Path(making) / "ready"
        ready.mkdir()
        for name, column in build_columns(_most_populous_first(min_population)).items():
            np.save(ready / f"{name}.npy", column)
        os.rename(ready, folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
