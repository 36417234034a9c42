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


def split_words(*texts: str | None) -> tuple[str, ...]:
    """The distinct words of texts in their order, in lower case without accents; at most six, cut to 40 characters."""
    text = " ".join(each for each in texts if each).casefold().translate(_LETTERS)
    letters = (
        letter if letter.isalnum() else " "
        for letter in unicodedata.normalize("NFKD", text).casefold()
        if not unicodedata.category(letter).startswith("M")
    )
    words = dict.fromkeys(word[:MAX_WORD_LENGTH] for word in "".join(letters).split())
    return tuple(islice(words, MAX_WORDS))


def word_pairs(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each ordered pair of words, by which any two of them are looked up in one range; a single word with an empty one."""
    return list(permutations(words, 2)) if len(words) > 1 else [(word, "") for word in words]
