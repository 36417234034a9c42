"""A plain recount: who stood in which groups when, from the facts read after each commit, by nothing but loops."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from regulars.storage.database import Database

GroupKey = tuple[str, str]
BEGINNING_OF_TIME = datetime.min.replace(tzinfo=UTC)
NON_MEMBER_TYPES = ("deleted", "system", "temporary")
PLATFORMS = ("ios", "android", "web", "pos", "api", "import")


@dataclass(frozen=True)
class MemberState:
    """As what a profile stands."""

    groups: frozenset[GroupKey]
    channel: str | None
    subchannel: str | None
    platform: str | None
    gender: str | None
    birth_date: date | None
    consents_granted: tuple[str, ...]
    consents_denied: tuple[str, ...]


def platform(channel: str | None) -> str | None:
    """What a channel's first word names."""
    if channel is None:
        return None
    word = ""
    for letter in channel:
        if letter.isalnum():
            word += letter.lower()
        elif word:
            break
    return word if word in PLATFORMS else "other"


def age_group(born: date | None, day: date) -> str | None:
    """The group of completed years."""
    if born is None:
        return None
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    if years < 15:
        return "-14"
    if years >= 80:
        return "80-"
    return f"{years // 5 * 5}-{years // 5 * 5 + 4}"


def state_of(profile: dict[str, Any], addresses: list[dict[str, Any]]) -> MemberState:
    """As what a profile stands by its rows."""
    consents = msgspec.json.decode(profile["consents"])
    yes = tuple(sorted(name for name, answer in consents.items() if answer))
    no = tuple(sorted(name for name, answer in consents.items() if not answer))
    reached = set()
    if profile["sms_status"] == "verified" and "sms_marketing" in yes:
        reached.add("sms")
    if profile["email_status"] in ("enabled", "verified") and "email_marketing" in yes:
        reached.add("email")
    if profile["push_status"] == "enabled":
        reached.add("push")
    if reached:
        reached.add("anything")
    countries = [each["country"] for each in sorted(addresses, key=lambda one: (not one["is_default"], one["id"]))]
    country = next((each for each in countries if each), profile["phone_country"])
    groups: set[GroupKey] = {("all", "")}
    single = {
        "optin_channel": profile["optin_channel"],
        "optin_subchannel": profile["optin_subchannel"],
        "optin_platform": platform(profile["optin_channel"]),
        "gender": profile["gender"],
        "country": country,
        "birth_year_group": None if profile["birth_year"] is None else str(profile["birth_year"] // 5 * 5),
    }
    groups |= {(name, value) for name, value in single.items() if value is not None}
    groups |= {("consent_true", name) for name in yes} | {("consent_false", name) for name in no}
    for channel in ("sms", "email", "push", "anything"):
        groups.add(("marketing_true" if channel in reached else "marketing_false", channel))
    for name, column in (
        ("subunit_id", "subunit_ids"),
        ("group_id", "group_ids"),
        ("favorite_store", "favorite_stores"),
    ):
        groups |= {(name, str(each)) for each in profile[column]}
    born = None
    if profile["birth_year"] is not None:
        born = date(profile["birth_year"], profile["birth_month"] or 1, profile["birth_day"] or 1)
    return MemberState(
        frozenset() if profile["profile_type"] in NON_MEMBER_TYPES else frozenset(groups),
        profile["optin_channel"], profile["optin_subchannel"], platform(profile["optin_channel"]),
        profile["gender"], born, yes, no,
    )  # fmt: skip


@dataclass
class MemberRecount:
    """The states of each profile, commit by commit."""

    timezone: str
    versions: dict[Any, list[tuple[datetime, MemberState]]] = field(default_factory=dict)
    memberships: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)
    changed_at: dict[GroupKey, datetime] = field(default_factory=dict)
    now_counts: Counter[GroupKey] = field(default_factory=Counter)

    async def read(self, database: Database, community_id: int) -> None:
        """Reads the facts after a commit."""
        now = database.clock()
        async with database.read_transaction(community_id) as scope:
            profiles = await scope.fetch("SELECT * FROM profiles WHERE community_id = $1", community_id)
            addresses = await scope.fetch("SELECT * FROM addresses WHERE community_id = $1", community_id)
            rows = await scope.fetch(
                "SELECT *, occurred_at AS at FROM memberships WHERE community_id = $1 ORDER BY at, id", community_id
            )
        self.memberships = defaultdict(list)
        for row in rows:
            own = self.memberships[row["profile_id"]]
            before = own[-1]["type"] if own else "out"
            if row["type"] != before:
                own.append(dict(row))
        there = {row["profile_id"]: dict(row) for row in profiles}
        for gone in self.versions.keys() - there.keys():
            del self.versions[gone]
        for profile_id, profile in there.items():
            own_addresses = [dict(each) for each in addresses if each["profile_id"] == profile_id]
            state = state_of(profile, own_addresses)
            versions = self.versions.setdefault(profile_id, [(BEGINNING_OF_TIME, state)])
            if versions[-1][1] != state:
                if versions[-1][0] == now:
                    versions.pop()
                versions.append((now, state))
        counts = self.counts(now)
        for group in counts.keys() | self.now_counts.keys():
            if counts[group] != self.now_counts[group]:
                self.changed_at[group] = now
        self.now_counts = counts

    def is_in(self, profile_id: Any, at: datetime) -> bool:
        """Whether a profile is in, by its memberships up to an instant."""
        found = [each["type"] for each in self.memberships[profile_id] if each["at"] <= at]
        return bool(found) and found[-1] == "in"

    def groups(self, profile_id: Any, at: datetime) -> frozenset[GroupKey]:
        """The groups that a profile stood in."""
        if not self.is_in(profile_id, at):
            return frozenset()
        return next(state for since, state in reversed(self.versions[profile_id]) if since <= at).groups

    def counts(self, at: datetime) -> Counter[GroupKey]:
        """How many stood in each group."""
        return Counter(group for profile_id in self.versions for group in self.groups(profile_id, at))

    def deltas(self, now: datetime) -> dict[GroupKey, Counter[datetime]]:
        """Every change of a count, at its instant."""
        found: dict[GroupKey, Counter[datetime]] = defaultdict(Counter)
        for profile_id, versions in self.versions.items():
            breaks = {since for since, _ in versions if since > BEGINNING_OF_TIME}
            breaks |= {each["at"] for each in self.memberships[profile_id]}
            before: frozenset[GroupKey] = frozenset()
            for at in sorted(each for each in breaks if each <= now):
                after = self.groups(profile_id, at)
                for group in after - before:
                    found[group][at] += 1
                for group in before - after:
                    found[group][at] -= 1
                before = after
        return found

    def history(
        self,
        now: datetime,
        bucket: Callable[[datetime], datetime],
        buckets: list[tuple[datetime, datetime]],
        retained_from: datetime,
    ) -> dict[GroupKey, dict[datetime, int]]:
        """The count of each group at the end of each bucket, from the first in which it changed.

        Before `retained_from` there are only months.
        """
        found: dict[GroupKey, dict[datetime, int]] = {}
        for group, moves in self.deltas(now).items():
            netted: Counter[datetime] = Counter()
            for at, n in moves.items():
                netted[bucket(at)] += n
            months: Counter[datetime] = Counter()
            for at, n in moves.items():
                months[at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)] += n
            began = min((at for at, n in netted.items() if n and at >= retained_from), default=None)
            month = min((at for at, n in months.items() if n), default=None)
            if month is not None and month < buckets[0][0] - timedelta(days=32):
                began = month
            for start, end in buckets:
                level = sum(n for at, n in moves.items() if at < end)
                if start <= now and (level or (began is not None and began < end)):
                    found.setdefault(group, {})[start] = level
        return found

    def membership_changes(self, now: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
        """Every join and leave that is reported, as it was at that moment."""
        for profile_id, versions in self.versions.items():
            for each in self.memberships[profile_id]:
                at = each["at"]
                if at > now:
                    continue
                at_it = [state for since, state in versions if since <= at]
                before = [state for since, state in versions if since < at]
                choice = [at_it[-1], before[-1]] if each["type"] == "in" else [before[-1], at_it[-1]]
                state = next((one for one in choice if one.groups), None)
                if state is None:
                    continue
                consents = None if each["consents"] is None else msgspec.json.decode(each["consents"])
                yes = state.consents_granted if consents is None else tuple(sorted(k for k, v in consents.items() if v))
                no = (
                    state.consents_denied
                    if consents is None
                    else tuple(sorted(k for k, v in consents.items() if not v))
                )
                channel = each["optin_channel"]
                yield (
                    at,
                    {
                        "type": each["type"],
                        "optin_channel": state.channel if channel is None else channel,
                        "optin_subchannel": state.subchannel
                        if each["optin_subchannel"] is None
                        else each["optin_subchannel"],
                        "optin_platform": platform(state.channel if channel is None else channel),
                        "gender": state.gender,
                        "age": age_group(state.birth_date, at.astimezone(ZoneInfo(self.timezone)).date()),
                        "consents_true": yes,
                        "consents_false": no,
                    },
                )


def five_minutes(at: datetime) -> datetime:
    """The five minutes that hold an instant."""
    return at.replace(second=0, microsecond=0) - timedelta(minutes=at.minute % 5)
