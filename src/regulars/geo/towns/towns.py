"""Search of towns by name, distance and id, in arrays that are mapped from files."""

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

# Matches within words are limited to this many, largest towns first.
_MAX_SUBSTRING_MATCHES = 2_000
_MIN_SUBSTRING_LENGTH = 3


@dataclass(frozen=True, slots=True)
class Town:
    """A town: its GeoNames id, ISO 3166-1 alpha-2 country, ISO 3166-2 state where known, IANA time zone, population."""

    geonames_id: int
    name: str
    country: str
    state: str | None
    population: int
    timezone: str
    point: Point


class TownMatch(NamedTuple):
    """A matching town and its score, higher is better."""

    score: float
    town: Town


class Towns:
    """The towns of a folder built by `build`."""

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
        self._normalized, self._normalized_starts = column("normalized_text").tobytes(), column("normalized_starts")
        self._text, self._starts, self._entries = column("text"), column("starts"), column("entries")
        # Addresses are mostly in the same towns.
        self._find_cached = lru_cache(maxsize=10_000)(self._find)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Town:
        """The town of an index, in descending order of population."""
        return self._town(index)

    # Lookup ---------------------------------------------------------------------------------------------------

    def get(self, geonames_id: int) -> Town | None:
        """The town of a GeoNames id."""
        place = int(np.searchsorted(self._ids, geonames_id, sorter=self._by_id))
        if place == len(self._by_id) or self._ids[self._by_id[place]] != geonames_id:
            return None
        return self._town(int(self._by_id[place]))

    def find_by_name(self, country: str, name: str, state: str | None = None) -> Town | None:
        """The town of an address: matches of main names come before alternative names, then the largest town.

        `country` is ISO 3166-1 alpha-2; `state` is ISO 3166-2 without the country; it is ignored where GeoNames
        has other codes.
        """
        return self._find_cached(country, normalize_cached(name), state)

    def _find(self, country: str, name: str, state: str | None) -> Town | None:
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
        # Towns are in descending order of population.
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
        """The range of suffixes that start with a text."""

        text, starts = self._text.data, self._starts.data

        def begins(start: int) -> bytes:
            return bytes(text[start : start + len(sought)])

        low = bisect_left(starts, sought, key=begins)
        # Ranges are mostly short: the end is searched in steps that double.
        step = 1
        while low + step < len(starts) and begins(starts[low + step]) == sought:
            step *= 2
        return low, bisect_right(starts, sought, lo=low, hi=min(low + step, len(starts)), key=begins)

    # Search ---------------------------------------------------------------------------------------------------

    def search(self, query: str, country: str | None, near: Point | None, limit: int) -> list[TownMatch]:
        """The towns that match a text best, best first, as ranked by `ranking`."""
        sought = normalize(query).encode()
        if not sought:
            return []
        best = np.full(len(self), -np.inf, np.float32)
        low, high = self._range(sought)
        _, exact = self._range(sought + b"\n")
        entries = self._entries[low:high]
        match = np.where(entries & FIRST_WORD, ranking.MatchType.PREFIX, ranking.MatchType.WORD_PREFIX)
        # Suffixes that end after the text, which are exact matches, sort before longer ones.
        whole = match[: exact - low]
        whole[whole == ranking.MatchType.PREFIX] = ranking.MatchType.EXACT
        other = np.where(entries & MAIN_NAME, 0, ranking.ALIAS_PENALTY)
        self._update_best(best, entries // ENTRY_FLAGS, ranking.score(match, 0) - other, country, near)
        if np.count_nonzero(best > -np.inf) < limit and len(sought) >= _MIN_SUBSTRING_LENGTH:
            within = self._substring_matches(sought)
            self._update_best(
                best, within, np.full(len(within), ranking.score(ranking.MatchType.SUBSTRING, 0)), country, near
            )
        found = np.argpartition(-best, limit)[:limit] if limit < len(best) else np.arange(len(best))
        found = found[best[found] > -np.inf]
        found = found[np.lexsort((found, -best[found]))]
        return [TownMatch(float(best[each]), self._town(int(each))) for each in found]

    def _update_best(
        self,
        best: npt.NDArray[np.float32],
        towns: _Indexes,
        scores: npt.NDArray[Any],
        country: str | None,
        near: Point | None,
    ) -> None:
        """Updates the best score of each town with new scores, for towns of the country."""
        if country is not None:
            fits = self._country[towns] == country.encode()
            towns, scores = towns[fits], scores[fits]
        scores = scores + self._weight[towns]
        if near is not None:
            here = to_unit_sphere(np.array([near], np.float64))[0]
            apart = np.sqrt(np.maximum(2 - 2 * (self._on_sphere[towns] @ here), 0))
            scores = scores + ranking.proximity_score(apart * ranking.EARTH_RADIUS_KM)
        np.maximum.at(best, towns, scores.astype(np.float32))

    def _substring_matches(self, sought: bytes) -> _Indexes:
        """The towns that contain a text anywhere in their main name."""
        starts = [
            found.start() for found in islice(re.finditer(re.escape(sought), self._normalized), _MAX_SUBSTRING_MATCHES)
        ]
        return np.searchsorted(self._normalized_starts, starts, side="right") - 1
