"""Values of rows that callers other than the cell parser may give."""

from __future__ import annotations

import pytest

from clubs import Club
from regulars.facts import offers, sendings
from regulars.facts.fact_type import local_to_utc_text


def test_collections_are_named_by_their_external_ids() -> None:
    assert offers._codes(["b", 1]) == ("1", "b")
    with pytest.raises(ValueError, match="must be external ids of collections"):
        offers._codes([True])


def test_a_channel_is_one_of_those_of_the_reports() -> None:
    assert sendings._channel("sms") == "sms"
    with pytest.raises(ValueError, match="must be one of sms, email, push"):
        sendings._channel("pigeon")


def test_a_text_that_is_no_time_is_left_to_the_validation(club: Club) -> None:
    assert local_to_utc_text("soon", club.community) == "soon"
