"""What the club writes and how it is taken; as_of is a Wednesday, the first of July."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from statistics import median
from zoneinfo import ZoneInfo

import pytest

from regulars.demo.mall import mall
from regulars.demo.rows import (
    MembershipRecord,
    OfferEventRecord,
    ProfileRecord,
    SendingEventRecord,
    SendingRecord,
    TransactionRecord,
)

Dispatches = dict[str, list[SendingEventRecord]]
OSLO = ZoneInfo("Europe/Oslo")
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def newsletters(sendings: dict[str, SendingRecord], dispatches: Dispatches) -> Dispatches:
    """The dispatches of newsletters."""
    return of_kind("newsletter", sendings, dispatches)


def of_kind(kind: str, sendings: dict[str, SendingRecord], dispatches: Dispatches) -> Dispatches:
    return {key: events for key, events in dispatches.items() if sendings[events[0]["sending"]]["source_type"] == kind}


def with_event(event: str, dispatches: Iterable[list[SendingEventRecord]]) -> int:
    """How many dispatches have an event."""
    return sum(any(row["event"] == event for row in events) for events in dispatches)


def at(event: str, events: list[SendingEventRecord]) -> datetime | None:
    """When an event of a dispatch happened first."""
    return next((row["at"] for row in events if row["event"] == event), None)


def times(event: str, dispatches: Dispatches) -> list[datetime]:
    """When an event happened, in order."""
    return sorted(row["at"] for events in dispatches.values() for row in events if row["event"] == event)


@pytest.mark.slow
def test_the_same_seed_and_moment_give_the_same_messages(
    as_of: datetime,
) -> None:
    in_oslo = as_of.astimezone(OSLO)
    events = list(mall.sending_events("tiny", as_of=as_of))
    assert list(mall.sending_events("tiny", as_of=as_of, seed=2)) != events
    assert list(mall.sending_events("tiny", as_of=in_oslo)) == events
    assert list(islice(mall.sendings(as_of=in_oslo), 1_000)) == list(islice(mall.sendings(as_of=as_of), 1_000))


def test_another_half_year_has_its_own_sales() -> None:
    def sales(as_of: datetime) -> set[str]:
        return {row["source_id"] for row in mall.sendings(as_of=as_of) if row["source_type"] == "sale"}

    assert sales(datetime(2026, 2, 1, tzinfo=OSLO)) == {
        "mid-season-sale-2025-w40",
        "black-week-2025-w48",
        "black-friday-2025-w48",
        "january-sale-2025-w52",
    }
    assert sales(datetime(2026, 7, 1, tzinfo=OSLO)) == {"mid-season-sale-2026-w14", "summer-sale-2026-w25"}


def test_a_message_goes_out_in_six_languages_and_has_one_campaign(sendings: dict[str, SendingRecord]) -> None:
    summer = [row for row in sendings.values() if row["source_id"] == "summer-sale-2026-w25"]
    assert Counter(row["channel"] for row in summer) == {"email": 6, "sms": 6}
    assert {row["language"] for row in summer} == {"nb", "sv", "da", "fi", "pl", "en"}
    assert {row["campaign_id"] for row in summer} == {2606202, 2606203}
    numbers = [row["reporting_id"] for row in sendings.values() if row["service_type"] == "campaigns"]
    assert None not in numbers
    assert len(set(numbers)) == len(numbers) == 300
    others = [row for row in sendings.values() if row["service_type"] != "campaigns"]
    assert {row["source_id"] for row in others} == {"welcome", "birthday", "we-miss-you", "reward"}
    assert all(row["reporting_id"] is None and row["campaign_id"] is None for row in others)


def test_there_are_half_a_year_of_newsletters_on_thursdays(newsletters: Dispatches) -> None:
    sent = {each.astimezone(OSLO) for each in times("transmitted", newsletters)}
    assert {each.weekday() for each in sent} == {3}
    assert len({each.date() for each in sent}) == 26


def test_a_newsletter_goes_out_within_minutes_and_arrives_in_seconds(newsletters: Dispatches) -> None:
    one = {key: events for key, events in newsletters.items() if "2026-w26-email-nb" in key}
    first, *_, last = times("transmitted", one)
    assert first.astimezone(OSLO).strftime("%H:%M") == "09:30"
    assert len(one) > 350
    assert timedelta(minutes=10) < last - first < timedelta(minutes=20)
    seconds = [
        (arrived - sent).total_seconds()
        for events in newsletters.values()
        if (arrived := at("delivered", events)) and (sent := at("transmitted", events))
    ]
    assert 2 < median(seconds) < 5
    assert 0.01 < sum(each > 60 for each in seconds) / len(seconds) < 0.03


def test_events_of_a_dispatch_come_in_order_and_before_now(as_of: datetime, dispatches: Dispatches) -> None:
    for events in dispatches.values():
        assert [row["at"] for row in events] == sorted(row["at"] for row in events)
        assert events[-1]["at"] < as_of
        assert len({row["external_id"] for row in events}) == len(events)
        kinds = [row["event"] for row in events]
        sent = kinds[1:] if kinds[0] == "scheduled" else kinds
        assert sent[:1] in ([], ["transmitted"])
        assert sent[1:2] in ([], ["delivered"], ["failed"], ["bounced"])
        assert set(sent[2:]) <= {"opened", "clicked", "unsubscribed", "complained"}
        assert len(sent) < 3 or sent[1] == "delivered"


def test_clicks_follow_opens_except_for_text_messages(
    sendings: dict[str, SendingRecord], dispatches: Dispatches
) -> None:
    clicked = [events for events in dispatches.values() if at("clicked", events)]
    opened = [events for events in clicked if at("opened", events)]
    assert {sendings[events[0]["sending"]]["channel"] for events in opened} == {"email", "push"}
    for events in opened:
        kinds = [row["event"] for row in events]
        assert kinds.index("opened") < kinds.index("clicked")
    unopened = [events for events in clicked if not at("opened", events)]
    assert {sendings[events[0]["sending"]]["channel"] for events in unopened} == {"sms"}


@pytest.mark.parametrize(
    ("kind", "event", "least", "most"),
    [
        ("newsletter", "opened", 0.3, 0.38),
        ("newsletter", "clicked", 0.02, 0.04),
        ("newsletter", "bounced", 0.002, 0.01),
        ("newsletter", "unsubscribed", 0.0005, 0.003),
        ("newsletter", "complained", 0.00003, 0.0005),
        ("welcome", "opened", 0.5, 0.75),
        ("we-miss-you", "opened", 0.05, 0.3),
        ("birthday", "opened", 0.4, 0.6),
        ("weekend", "opened", 0.025, 0.06),
        ("member-evening", "clicked", 0.05, 0.1),
        ("member-evening", "unsubscribed", 0.001, 0.008),
        ("member-evening", "failed", 0.005, 0.03),
    ],
)
def test_rates_are_those_of_retailers(
    kind: str, event: str, least: float, most: float, sendings: dict[str, SendingRecord], dispatches: Dispatches
) -> None:
    of_it = of_kind(kind, sendings, dispatches).values()
    assert least < with_event(event, of_it) / with_event("delivered", of_it) < most


def test_half_of_the_opens_come_within_hours_and_the_last_after_days(newsletters: Dispatches) -> None:
    delays = [
        opened - sent
        for events in newsletters.values()
        if (opened := at("opened", events)) and (sent := at("transmitted", events))
    ]

    def share(within: timedelta) -> float:
        return sum(delay < within for delay in delays) / len(delays)

    assert 0.18 < share(HOUR) < 0.3
    assert 0.45 < share(6 * HOUR) < 0.65
    assert 0.72 < share(24 * HOUR) < 0.85
    assert 0.93 < share(7 * 24 * HOUR) < 0.99


def test_few_messages_are_opened_at_night(newsletters: Dispatches) -> None:
    hours = Counter(
        row["at"].astimezone(OSLO).hour
        for events in newsletters.values()
        for row in events
        if row["event"] == "opened" and row["sending"].endswith("-nb")
    )
    assert sum(hours[hour] for hour in range(1, 5)) < 0.1 * sum(hours[hour] for hour in range(18, 22))


def test_some_read_nearly_everything_and_some_nearly_nothing(newsletters: Dispatches) -> None:
    opened: dict[str, list[bool]] = defaultdict(list)
    for events in newsletters.values():
        opened[events[0]["profile"]].append(at("opened", events) is not None)
    shares = [sum(each) / len(each) for each in opened.values() if len(each) > 20]
    assert sum(share < 0.1 for share in shares) / len(shares) > 0.15
    assert sum(share > 0.7 for share in shares) / len(shares) > 0.08


def test_only_reachable_members_with_consent_get_the_last_message(
    profiles: dict[str, ProfileRecord], newsletters: Dispatches, memberships: list[MembershipRecord]
) -> None:
    out = {row["profile"] for row in memberships if row["type"] == "out"}
    out -= {row["profile"] for row in memberships if row["external_id"].endswith("-3")}
    last = {events[0]["profile"] for events in newsletters.values() if "2026-w26" in events[0]["sending"]}
    assert len(last) > 900
    fit = {
        member
        for member, profile in profiles.items()
        if profile["consents"].get("email_marketing")
        and profile["email_status"] in ("enabled", "verified")
        and member not in out
    }
    # Some have joined since, of others it was the last message: by it they unsubscribed, or the address went bad.
    assert len(fit - last) < 0.02 * len(fit)
    assert len(last - fit) < 0.02 * len(fit)
    assert last.isdisjoint(out)
    assert all(profiles[member]["email_status"] != "disabled" for member in last)


def test_unsubscribed_and_bounced_members_get_no_more_campaigns(
    profiles: dict[str, ProfileRecord], sendings: dict[str, SendingRecord], dispatches: Dispatches
) -> None:
    ended: dict[tuple[str, str], datetime] = {}
    for events in dispatches.values():
        channel = sendings[events[0]["sending"]]["channel"]
        member = events[0]["profile"]
        if any(row["event"] in ("unsubscribed", "complained") for row in events):
            ended[member, channel] = events[0]["at"]
            status = profiles[member]["sms_status" if channel == "sms" else "email_status"]
            assert status == "unsubscribed"
    assert len(ended) > 40
    for events in dispatches.values():
        key = (events[0]["profile"], sendings[events[0]["sending"]]["channel"])
        assert key not in ended or events[0]["at"] <= ended[key]


def test_only_current_members_get_messages(
    profiles: dict[str, ProfileRecord], memberships: list[MembershipRecord], sending_events: list[SendingEventRecord]
) -> None:
    left = {row["profile"]: row["at"] for row in memberships if row["type"] == "out"}
    back = {row["profile"]: row["at"] for row in memberships if row["external_id"].endswith("-3")}
    for row in sending_events:
        member = row["profile"]
        if row["event"] == "transmitted":
            assert row["at"] >= profiles[member]["joined_at"]
            gone = member in left and row["at"] - HOUR > left[member]
            assert not gone or (member in back and row["at"] >= back[member])


def test_birthdays_joins_and_absences_trigger_messages(
    profiles: dict[str, ProfileRecord],
    sendings: dict[str, SendingRecord],
    dispatches: Dispatches,
    sales_of: dict[str, list[TransactionRecord]],
    memberships: list[MembershipRecord],
) -> None:
    joined = defaultdict(list)
    for row in memberships:
        if row["type"] == "in":
            joined[row["profile"]].append(row["at"])
    for events in of_kind("welcome", sendings, dispatches).values():
        assert any(timedelta(0) < events[0]["at"] - each < HOUR for each in joined[events[0]["profile"]])
    for events in of_kind("birthday", sendings, dispatches).values():
        born = profiles[events[0]["profile"]]
        assert (events[0]["at"].month, events[0]["at"].day) == (born["birth_month"], born["birth_day"])
    missed = of_kind("we-miss-you", sendings, dispatches)
    assert len(missed) > 50
    for events in missed.values():
        when = events[0]["at"]
        sales = sales_of[events[0]["profile"]]
        bought = [
            row["transacted_at"] for row in sales if row["transacted_at"] < when and "exchange" not in row["tags"]
        ]
        assert timedelta(days=179) < when - bought[-1] < timedelta(days=182)


def test_a_granted_personal_offer_triggers_a_push_message(
    sendings: dict[str, SendingRecord], dispatches: Dispatches, offer_events: list[OfferEventRecord]
) -> None:
    granted = {
        (row["profile"], row["at"].date()): row["at"]
        for row in offer_events
        if row["event"] == "granted" and row["offer"].endswith("-personal")
    }
    rewards = of_kind("reward", sendings, dispatches)
    assert len(rewards) > 300
    for events in rewards.values():
        sent_at = events[0]["at"]
        assert timedelta(0) <= sent_at - granted[events[0]["profile"], sent_at.date()] < timedelta(seconds=21)


def test_scheduled_dispatches_are_not_transmitted_yet(
    sendings: dict[str, SendingRecord], dispatches: Dispatches
) -> None:
    waiting = [events for events in dispatches.values() if at("transmitted", events) is None]
    assert {sendings[events[0]["sending"]]["source_type"] for events in waiting} <= {
        "weekend",
        "member-evening",
        "sale",
    }
    assert all([row["event"] for row in events] == ["scheduled"] for events in waiting)
    assert with_event("scheduled", waiting) > 100


def test_every_event_is_of_a_sending_and_of_a_member(
    sendings: dict[str, SendingRecord], profiles: dict[str, ProfileRecord], sending_events: list[SendingEventRecord]
) -> None:
    assert {row["sending"] for row in sending_events} <= set(sendings)
    assert {row["profile"] for row in sending_events} <= set(profiles)
    assert 80_000 < len(sending_events) < 160_000


def test_messages_of_the_large_club_are_generated_lazily(as_of: datetime) -> None:
    assert len(list(mall.sendings("large", as_of=as_of))) < len(list(mall.sendings(as_of=as_of)))
