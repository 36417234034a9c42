"""Names as they are compared: without accents, case and punctuation."""

import unicodedata
from functools import lru_cache

# Letters of their own that Unicode takes for no other letter with a mark.
_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}
_BETWEEN_WORDS = "PSZC"


class _Folds(dict[int, str]):
    """What each character becomes, looked up once: a mark nothing, what is between words a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        found = _LETTERS.get(character, character)
        if unicodedata.combining(character):
            found = ""
        elif unicodedata.category(character)[0] in _BETWEEN_WORDS:
            found = " "
        self[code] = found
        return found


_folds = _Folds()


def normalize(text: str) -> str:
    """A name as it is compared: `Łódź` is `lodz`, `'s-Hertogenbosch` is `s hertogenbosch`; empty without a letter."""
    return " ".join(unicodedata.normalize("NFKD", text.casefold()).translate(_folds).split())


@lru_cache(maxsize=20_000)
def normalize_cached(text: str) -> str:
    """The same, for names that come again and again."""
    return normalize(text)
