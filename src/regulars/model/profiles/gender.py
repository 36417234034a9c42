"""Genders as people write them."""

from collections.abc import Mapping

FEMALE, MALE, OTHER = "female", "male", "other"

GENDER_SPELLINGS: Mapping[str, str] = {
    **dict.fromkeys(("f", "female", "woman", "w", "women", "girl", "ms", "mrs"), FEMALE),
    **dict.fromkeys(("m", "male", "man", "men", "boy", "mr"), MALE),
    **dict.fromkeys(("o", "other", "x", "d", "diverse", "non-binary", "nonbinary", "nb"), OTHER),
}
"""What common spellings in lower case mean. Other texts stay as they are, in lower case."""


def normalize_gender(text: str) -> str | None:
    """The gender that a text means; None for an empty one."""
    found = text.strip().lower()
    return GENDER_SPELLINGS.get(found, found) or None
