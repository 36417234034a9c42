"""The words by which names are found."""

import pytest

from regulars.core.name_words import MAX_WORD_LENGTH, MAX_WORDS, split_words, word_pairs


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("Ola", "Nordmann"), ("ola", "nordmann")),
        (("  OLA  ", "nordmann-hansen"), ("ola", "nordmann", "hansen")),
        (("Åse", "Sæther Øverås"), ("ase", "saether", "overas")),
        (("Zoë", "Müller-Weiß"), ("zoe", "muller", "weiss")),
        (("Łukasz", "Đorđević"), ("lukasz", "dordevic")),
        (("Siân", "O'Brien"), ("sian", "obrien")),
        (("Siân", "O\u2019Brien"), ("sian", "obrien")),
        (("ＯＬＡ", None), ("ola",)),
        (("İpek", "Işık"), ("ipek", "isik")),
        (("Ola", "Ola"), ("ola",)),
        (("مُحَمَّد", "עִבְרִית"), ("محمد", "עברית")),
        (("अनिल", "山田"), ("अनल", "山田")),
        (("<script>alert(1)</script>",), ("script", "alert", "1")),
        (("\u200f!?", ""), ()),
        ((None, None), ()),
        (("x" * 200,), ("x" * MAX_WORD_LENGTH,)),
        (("a b c d e f g h",), ("a", "b", "c", "d", "e", "f")),
    ],
)
def test_names_are_split_into_words_without_case_and_accents(
    texts: tuple[str | None, ...], words: tuple[str, ...]
) -> None:
    assert split_words(*texts) == words
    assert len(words) <= MAX_WORDS


def test_a_text_without_accents_is_split_as_any_other() -> None:
    for code in range(128):
        text = f"Ola{chr(code)}Nordmann"
        assert split_words(text) == split_words(f"{text}\u0301"), text


def test_each_word_is_paired_with_every_other_one() -> None:
    assert word_pairs(()) == []
    assert word_pairs(("ola",)) == [("ola", "")]
    assert word_pairs(("ola", "nordmann")) == [("ola", "nordmann"), ("nordmann", "ola")]
    assert len(word_pairs(tuple("abcdef"))) == 30
