"""Towns, by their names, by id, by what is near: arrays that are mapped from files, searched in milliseconds."""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from regulars.geo.towns import ranking
from regulars.geo.towns.build import ENTRY_FLAGS, FIRST_WORD, ISO_STATE_COUNTRIES, MAIN_NAME, to_unit_sphere
from regulars.geo.towns.normalize import normalize, normalize_cached
from regulars.geo.towns.ranking import Point

_Indexes = npt.NDArray[np.integer[Any]]

# Of a text that stands in the middle of words, so many places are looked at, those of the largest towns first.
_MOST_WITHIN = 2_000
_SHORTEST_WITHIN = 3


@dataclass(frozen=True, slots=True)
class Town:
    """A town: its number at GeoNames, ISO 3166-1 alpha-2 country, state by ISO 3166-2 where that is known, time zone by
    IANA, people."""

    geonames_id: int
    name: str
    country: str
    state: str | None
    population: int
    timezone: str
    point: Point


class TownMatch(NamedTuple):
    """A town that fits, and how well; more is better."""

    score: float
    town: Town


class Towns:
    """The towns of a folder that `building` has made."""

    def __init__(self, folder: Path) -> None:
        def column(name: str) -> npt.NDArray[Any]:
            found: npt.NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray)
            return found

        self._ids, self._by_id = column("ids"), column("by_id")
        self._country, self._state = column("country"), column("state")
        self._population, self._weight = column("population"), column("weight")
        self._degrees, self._on_sphere = column("degrees"), column("on_sphere")
        self._zone, self._zones = column("zone"), column("zones")
        self._names, self._name_starts = column("name_text"), column("name_starts")
        self._folded, self._folded_starts = column("folded_text").tobytes(), column("folded_starts")
        self._text, self._starts, self._entries = column("text"), column("starts"), column("entries")
        # Addresses are mostly of the same towns.
        self._remembered = lru_cache(maxsize=10_000)(self._named)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Town:
        """The town of a place in the order of people, most first."""
        return self._town(index)

    # One town ------------------------------------------------------------------------------------------------

    def get(self, geonames_id: int) -> Town | None:
        """The town of a number."""
        place = int(np.searchsorted(self._ids, geonames_id, sorter=self._by_id))
        if place == len(self._by_id) or self._ids[self._by_id[place]] != geonames_id:
            return None
        return self._town(int(self._by_id[place]))

    def find_by_name(self, country: str, name: str, state: str | None = None) -> Town | None:
        """The town that an address means: by its own name before others, then the one of most people.

        `country` is ISO 3166-1 alpha-2; `state` tells towns apart, as ISO 3166-2 without the country, where GeoNames
        has that.
        """
        return self._remembered(country, normalize_cached(name), state)

    def _named(self, country: str, name: str, state: str | None) -> Town | None:
        sought = name.encode() + b"\n"
        low, high = self._range(sought)
        entries = self._entries[low:high]
        entries = entries[(entries & FIRST_WORD) > 0]
        towns = entries // ENTRY_FLAGS
        fits = self._country[towns] == country.encode()
        if state is not None and country in ISO_STATE_COUNTRIES:
            fits &= self._state[towns] == state.encode()
        if not fits.any():
            return None
        # Towns stand in the order of their people.
        other = (entries[fits] & MAIN_NAME) == 0
        return self._town(int(np.where(other, towns[fits] + len(self), towns[fits]).min()) % len(self))

    def _town(self, index: int) -> Town:
        start, end = self._name_starts[index : index + 2]
        latitude, longitude = self._degrees[index].tolist()
        return Town(
            geonames_id=int(self._ids[index]),
            name=self._names[start : end - 1].tobytes().decode(),
            country=self._country[index].decode(),
            state=self._state[index].decode() or None,
            population=int(self._population[index]),
            timezone=self._zones[self._zone[index]].decode(),
            point=Point(latitude, longitude),
        )

    def _range(self, sought: bytes) -> tuple[int, int]:
        """The words from which on a name begins with a text."""

        text, starts = self._text.data, self._starts.data

        def begins(start: int) -> bytes:
            return bytes(text[start : start + len(sought)])

        low = bisect_left(starts, sought, key=begins)
        # Mostly few: the end is looked for from here in steps that double.
        step = 1
        while low + step < len(starts) and begins(starts[low + step]) == sought:
            step *= 2
        return low, bisect_right(starts, sought, lo=low, hi=min(low + step, len(starts)), key=begins)

    # Many towns ----------------------------------------------------------------------------------------------

    def search(self, query: str, country: str | None, near: Point | None, limit: int) -> list[TownMatch]:
        """The towns that fit a text best, best first; see `ranking` for what is best."""
        sought = normalize(query).encode()
        if not sought:
            return []
        best = np.full(len(self), -np.inf, np.float32)
        low, high = self._range(sought)
        _, exact = self._range(sought + b"\n")
        entries = self._entries[low:high]
        match = np.where(entries & FIRST_WORD, ranking.MatchType.PREFIX, ranking.MatchType.WORD_PREFIX)
        # What goes on with a line's end, the whole name, comes before all that goes on with letters.
        whole = match[: exact - low]
        whole[whole == ranking.MatchType.PREFIX] = ranking.MatchType.EXACT
        other = np.where(entries & MAIN_NAME, 0, ranking.ALIAS_PENALTY)
        self._better(best, entries // ENTRY_FLAGS, ranking.score(match, 0) - other, country, near)
        if np.count_nonzero(best > -np.inf) < limit and len(sought) >= _SHORTEST_WITHIN:
            within = self._within(sought)
            self._better(
                best, within, np.full(len(within), ranking.score(ranking.MatchType.SUBSTRING, 0)), country, near
            )
        found = np.argpartition(-best, limit)[:limit] if limit < len(best) else np.arange(len(best))
        found = found[best[found] > -np.inf]
        found = found[np.lexsort((found, -best[found]))]
        return [TownMatch(float(best[each]), self._town(int(each))) for each in found]

    def _better(
        self,
        best: npt.NDArray[np.float32],
        towns: _Indexes,
        scores: npt.NDArray[Any],
        country: str | None,
        near: Point | None,
    ) -> None:
        """Raises the best score of each town to the ones that are given, if it is of the country."""
        if country is not None:
            fits = self._country[towns] == country.encode()
            towns, scores = towns[fits], scores[fits]
        scores = scores + self._weight[towns]
        if near is not None:
            here = to_unit_sphere(np.array([near], np.float64))[0]
            apart = np.sqrt(np.maximum(2 - 2 * (self._on_sphere[towns] @ here), 0))
            scores = scores + ranking.proximity_score(apart * ranking.EARTH_RADIUS_KM)
        np.maximum.at(best, towns, scores.astype(np.float32))

    def _within(self, sought: bytes) -> _Indexes:
        """The towns that have a text anywhere in their own name."""
        places = [found.start() for found in islice(re.finditer(re.escape(sought), self._folded), _MOST_WITHIN)]
        return np.searchsorted(self._folded_starts, places, side="right") - 1
