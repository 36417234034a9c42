"""Builds the search index of towns from the snapshot in the package: `python -m regulars.geo.towns.build FOLDER
MIN_POPULATION`.

It runs as its own process, because it needs several hundred MB for some seconds. The files are mapped by all processes
of a server, which share one copy.
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
"""The smallest population of a town by default."""

ISO_STATE_COUNTRIES = frozenset(("US", "CH", "BE", "GB"))
"""Countries for which GeoNames uses ISO 3166-2 codes of states; for others it has its own codes."""

FIRST_WORD, MAIN_NAME, ENTRY_FLAGS = 1, 2, 4
"""Flags of an entry: the word is the first of its name; the name is the main one.

`entry // ENTRY_FLAGS` is the town.
"""

TownColumns = dict[str, npt.NDArray[np.generic]]


def _most_populous_first(min_population: int) -> list[TownRecord]:
    towns = (each for each in read_snapshot() if each.population >= min_population)
    return sorted(towns, key=lambda town: (-town.population, town.geonameid))


def build_columns(towns: Sequence[TownRecord]) -> TownColumns:
    """Builds the arrays of the search index; a town is identified by its index."""
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
        **_texts("normalized", [normalize(each.name) for each in towns]),
        **_words(towns),
    }


def to_unit_sphere(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Converts latitude and longitude to points on the unit sphere."""
    latitude, longitude = np.radians(degrees).T
    flat = np.cos(latitude)
    return np.stack((flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)), axis=1).astype(np.float32)


def _texts(called: str, texts: Sequence[str]) -> TownColumns:
    """Concatenates texts, each after a newline, and returns the start of each."""
    lines = [each.encode() for each in texts]
    starts = np.cumsum([1, *(len(each) + 1 for each in lines)])
    return {
        f"{called}_text": np.frombuffer(b"\n" + b"".join(each + b"\n" for each in lines), np.uint8),
        f"{called}_starts": starts.astype(np.uint32),
    }


def _words(towns: Sequence[TownRecord]) -> TownColumns:
    """A suffix array: every word of every name, ordered by the text from the word to the end of the name."""
    text, starts, entries = bytearray(b"\n"), array("I"), array("I")
    suffixes: list[bytes] = []
    for index, town in enumerate(towns):
        own = normalize(town.name)
        for name in filter(None, dict.fromkeys((own, *map(normalize, town.alternatenames)))):
            line = name.encode() + b"\n"
            flags = MAIN_NAME if name == own else 0
            for at in _word_starts(line):
                starts.append(len(text) + at)
                entries.append(index * ENTRY_FLAGS + flags + (FIRST_WORD if at == 0 else 0))
                suffixes.append(line[at:])
            text += line
    order = sorted(range(len(suffixes)), key=suffixes.__getitem__)
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
    """Builds a folder of files, one for each array, atomically."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        ready = Path(temporary) / "ready"
        ready.mkdir()
        for name, column in build_columns(_most_populous_first(min_population)).items():
            np.save(ready / f"{name}.npy", column)
        os.rename(ready, folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
