"""Visits of the club's pages."""

from collections import Counter
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from regulars.demo.mall import mall
from regulars.demo.rows import (
    LinkVisitRecord,
    OfferEventRecord,
    OfferRecord,
    ProfileRecord,
    SendingEventRecord,
    SendingRecord,
)


def utm(visit: LinkVisitRecord) -> dict[str, str]:
    """What the query of a visit says."""
    return {name: values[0] for name, values in parse_qs(urlsplit(visit["url"]).query).items()}


@pytest.mark.slow
def test_the_same_seed_and_moment_give_the_same_visits(as_of: datetime) -> None:
    visits = list(mall.link_visits("tiny", as_of=as_of))
    assert list(mall.link_visits("tiny", as_of=as_of, seed=2)) != visits
    mall.clear_cache()
    assert list(mall.link_visits("tiny", as_of=as_of)) == visits


def test_visits_have_a_sending_an_offer_or_neither(
    as_of: datetime,
    link_visits: list[LinkVisitRecord],
    sendings: dict[str, SendingRecord],
    offers: dict[str, OfferRecord],
) -> None:
    assert len({row["external_id"] for row in link_visits}) == len(link_visits)
    assert all(row["at"] < as_of for row in link_visits)
    kinds = Counter((row["sending"] is not None, row["offer"] is not None) for row in link_visits)
    assert kinds[True, True] == 0
    assert all(kinds[kind] > 1_000 for kind in [(True, False), (False, True), (False, False)])
    assert {row["sending"] for row in link_visits if row["sending"]} <= set(sendings)
    assert {row["offer"] for row in link_visits if row["offer"]} <= set(offers)


def test_a_visit_from_a_sending_follows_a_click(
    link_visits: list[LinkVisitRecord], sending_events: list[SendingEventRecord]
) -> None:
    clicks = {row["external_id"]: row for row in sending_events if row["event"] == "clicked"}
    visits = [row for row in link_visits if row["sending"] and not row["external_id"].endswith("-f")]
    assert 0.93 < len(visits) / len(clicks) <= 1
    for row in visits:
        click = clicks[row["external_id"]]
        assert timedelta(0) < row["at"] - click["at"] < timedelta(seconds=3)
        assert row["sending"] == click["sending"]
        assert row["profile"] in (click["profile"], None)


def test_a_visit_from_an_offer_follows_its_click(
    link_visits: list[LinkVisitRecord], offer_events: list[OfferEventRecord]
) -> None:
    clicks = {row["external_id"]: row for row in offer_events if row["event"] == "clicked"}
    visits = [row for row in link_visits if row["offer"]]
    assert len(visits) == len(clicks)
    assert all(row["profile"] == clicks[row["external_id"]]["profile"] for row in visits)


def test_urls_contain_their_campaign(link_visits: list[LinkVisitRecord], sendings: dict[str, SendingRecord]) -> None:
    for row in link_visits:
        said = utm(row)
        if row["sending"]:
            sending = sendings[row["sending"]]
            assert said["utm_campaign"] == sending["source_id"]
            assert said["utm_medium"] == sending["channel"]
            assert ("utm_content" in said) == (sending["channel"] != "sms")
        else:
            assert set(said) == {"utm_source", "utm_medium", "utm_campaign"}
    hosts = Counter(urlsplit(row["url"]).hostname for row in link_visits)
    assert set(hosts) == {"www.lyngtorget.example", "lyng.example"}


def test_the_first_link_of_a_newsletter_gets_most_and_the_next_ones_less(link_visits: list[LinkVisitRecord]) -> None:
    links = Counter(utm(row)["utm_content"] for row in link_visits if (row["sending"] or "").startswith("newsletter"))
    assert list(dict(links.most_common(3))) == ["link-1", "link-2", "link-3"]
    assert 0.4 < links["link-1"] / links.total() < 0.62


def test_anonymous_visitors_have_a_cookie_and_some_return(
    link_visits: list[LinkVisitRecord], profiles: dict[str, ProfileRecord]
) -> None:
    assert all(row["visitor"] for row in link_visits)
    known = [row for row in link_visits if row["profile"] is not None]
    assert {row["profile"] for row in known} <= set(profiles)
    assert 0.3 < len(known) / len(link_visits) < 0.7
    elsewhere = [row for row in link_visits if not row["sending"] and not row["offer"]]
    assert all(row["profile"] is None for row in elsewhere)
    assert 0.2 < len({row["visitor"] for row in elsewhere}) / len(elsewhere) < 0.9
