"""Normalization of names for comparison: without accents, case and punctuation."""

import unicodedata
from functools import lru_cache

# Letters that Unicode does not decompose into a base letter and an accent.
_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}
_SEPARATOR_CATEGORIES = "PSZC"


class _Replacements(dict[int, str]):
    """The replacement of each character, cached: nothing for accents, a space for separators."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        found = _LETTERS.get(character, character)
        if unicodedata.combining(character):
            found = ""
        elif unicodedata.category(character)[0] in _SEPARATOR_CATEGORIES:
            found = " "
        self[code] = found
        return found


_replacements = _Replacements()


def normalize(text: str) -> str:
    """Normalizes a name: `Łódź` becomes `lodz`, `'s-Hertogenbosch` becomes `s hertogenbosch`; empty without letters."""
    return " ".join(unicodedata.normalize("NFKD", text.casefold()).translate(_replacements).split())


@lru_cache(maxsize=20_000)
def normalize_cached(text: str) -> str:
    """Like normalize, cached for names that recur."""
    return normalize(text)
