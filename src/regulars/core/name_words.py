"""The words by which names are found: without case, accents and order."""

import unicodedata
from itertools import islice, permutations

MAX_WORDS = 6
"""The words of a name that are searched; a search has a row for each pair of them."""

MAX_WORD_LENGTH = 40

_LETTERS = str.maketrans(
    {
        "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "ŋ": "n", "þ": "th", "ŧ": "t",
        "'": "", "\u2018": "", "\u2019": "", "\u02bc": "", "`": "", "\u00b4": "",
    }
)  # fmt: skip
"""Letters that Unicode does not decompose, and apostrophes, which do not divide a name such as O'Brien."""

_ASCII = {code: _LETTERS.get(code, " ") for code in range(128) if not chr(code).isalnum()}
"""What the other characters of a text without accents become, as most names are."""


def split_words(*texts: str | None) -> tuple[str, ...]:
    """The distinct words of texts in their order, in lower case without accents; at most six, cut to 40 characters."""
    text = " ".join(each for each in texts if each)
    text = text.lower().translate(_ASCII) if text.isascii() else _letters_of(text)
    words = dict.fromkeys(word[:MAX_WORD_LENGTH] for word in text.split())
    return tuple(islice(words, MAX_WORDS))


def _letters_of(text: str) -> str:
    letters = (
        letter if letter.isalnum() else " "
        for letter in unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS)).casefold()
        if not unicodedata.category(letter).startswith("M")
    )
    return "".join(letters)


def word_pairs(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each ordered pair of words, by which any two of them are looked up in one range; a single word with an empty one."""
    return list(permutations(words, 2)) if len(words) > 1 else [(word, "") for word in words]
