"""Counts, their history and the balance equal a plain recount, for random changes in any order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clubs import Club
from hypothesis_settings import SEED, examples
from regulars.ingest.commit import commit
from regulars.jobs.refresh_due import refresh_community
from regulars.model import memberships
from regulars.model.memberships import MembershipIn
from regulars.rollups.compaction import compact
from regulars.verify.verify import verify
from reports.member_recount import MemberRecount, five_minutes
from reports.source_rows import fetch_rows, fetch_timeseries_rows

CHANNELS = [None, "iOS app", "web", "till 4", "POS-2"]
GENDERS = [None, "female", "male"]
CONSENTS = ["sms_marketing", "email_marketing", "club"]


class World:
    """A club to which things happen, one commit each, and a plain recount of it."""

    def __init__(self, club: Club, seed: int) -> None:
        self.club = club
        self.random = random.Random(seed)
        self.standing = MemberRecount(club.community.timezone)
        self.living: list[str] = []
        self.known: list[str] = []
        self.memberships = 0

    def attributes(self) -> dict[str, Any]:
        """Something that a profile may say."""
        pick = self.random
        every: dict[str, Any] = {
            "gender": pick.choice(GENDERS),
            "birth_year": pick.choice([None, 1951, 1987, 1999, 2015]),
            "birth_month": pick.choice([None, 2, 11]),
            "optin_channel": pick.choice(CHANNELS),
            "optin_subchannel": pick.choice([None, "a", "b"]),
            "consents": {name: pick.choice([True, False, None]) for name in pick.sample(CONSENTS, 2)},
            "sms_status": pick.choice(["verified", "enabled", None]),
            "email_status": pick.choice(["enabled", "hard_bounced", None]),
            "push_status": pick.choice(["enabled", "unsubscribed", None]),
            "subunit_ids": pick.sample([1, 2, 3], pick.randint(0, 2)),
            "group_ids": pick.sample([7, 8], pick.randint(0, 2)),
            "mobile_phone": pick.choice([None, f"+47{pick.randint(40_000_000, 49_999_999)}"]),
            "addresses": pick.choice([[], [{"country": "SE"}], [{"country": "DK"}, {"iso": "FI", "is_default": True}]]),
        }
        return {name: every[name] for name in pick.sample(list(every), pick.randint(1, 6))}

    def some_time(self) -> datetime:
        """Now, recently, or long ago."""
        back = self.random.choice([0, 3, 70, 5_000, 40_000, 900_000])
        return self.club.clock.at - timedelta(minutes=back, seconds=self.random.randint(0, 50))

    async def happen(self) -> None:
        """One thing happens."""
        http, pick = self.club.http, self.random
        one = pick.choice(self.living) if self.living else ""
        what = pick.choice(["create", "create", "update", "update", "membership", "membership", *"DPMXTAF"])
        if what == "create" or not self.living:
            body = self.attributes()
            if pick.random() < 0.5:
                body["joined_at"] = self.some_time().strftime("%Y-%m-%dT%H:%M:%SZ")
            answer = await http.post("/api/v3/profiles", json=body)
            assert answer.status_code == 201, answer.text
            self.living.append(answer.json()["data"]["id"])
            self.known.append(self.living[-1])
        elif what == "update":
            answer = await http.put(f"/api/v3/profiles/{one}", json=self.attributes())
            assert answer.status_code == 200, answer.text
        elif what == "D":
            await http.delete(f"/api/v3/profiles/{one}")
            self.living.remove(one)
        elif what == "P":
            assert (await http.delete(f"/api/v3/profiles/{one}/purge")).status_code == 204
            self.living.remove(one)
            self.known.remove(one)
        elif what == "M" and len(self.living) > 1:
            source = pick.choice([each for each in self.living if each != one])
            body = {"source_profile_id": source, "destination_profile_id": one}
            answer = await http.post("/api/v3/profiles/merge", json=body)
            assert answer.status_code < 300, answer.text
            self.living.remove(source)
            self.known.remove(source)
        elif what == "X":
            await http.post(f"/api/v3/profiles/{one}/depersonalise")
        elif what == "T":
            one = pick.choice(self.known)
            kind = pick.choice(["active", "active", "system", "temporary"])
            answer = await http.put(f"/api/v3/profiles/{one}/update-type", json={"profile_type": kind})
            if answer.status_code == 200 and one not in self.living:
                self.living.append(one)
        elif what == "A":
            await http.post(f"/api/v3/profiles/{one}/addresses", json={"country": pick.choice(["NO", "GB"])})
        else:
            await self.membership(one, ahead=what == "F")

    async def membership(self, profile: str, *, ahead: bool) -> None:
        """A membership comes from elsewhere, new or as another than before."""
        pick = self.random
        self.memberships += 1
        at = self.club.clock.at + timedelta(hours=5) if ahead else self.some_time()
        row = memberships.validate(
            MembershipIn(
                external_id=f"m{pick.randint(1, self.memberships)}",
                profile=profile,
                type=pick.choice(["in", "out"]),
                at=at.isoformat(),
                optin_channel=pick.choice([None, "api"]),
                consents=pick.choice([None, {"club": True}]),
            )
        )
        await commit(self.club.database, self.club.community.id, lambda uow: memberships.upsert_many(uow, [row]))

    async def pass_on(self) -> None:
        """One thing happens, and some time passes."""
        await self.happen()
        await self.standing.read(self.club.database, self.club.community.id)
        if self.random.random() < 0.3:
            await compact(self.club.database, self.club.community.id)
        if self.random.random() < 0.7:
            self.club.clock.advance(minutes=self.random.choice([1, 7, 90, 60 * 24 * 3]))
            await refresh_community(self.club.database, self.club.community.id, lambda: False)
            await self.standing.read(self.club.database, self.club.community.id)

    async def check(self) -> None:
        """Everything stored equals a plain recount."""
        await self.check_now()
        await self.check_verified()
        for interval, width, count in (("5m", 5, 150), ("1h", 60, 150), ("1d", 60 * 24, 120)):
            await self.check_over_time(interval, timedelta(minutes=width), count)

    async def check_verified(self) -> None:
        """What `regulars verify` recomputes equals what is stored."""
        found = [each async for each in verify(self.club.database, self.club.community.id) if not isinstance(each, int)]
        assert [str(each) for each in found] == []

    async def check_now(self) -> None:
        database, community_id = self.club.database, self.club.community.id
        counts = self.standing.counts(database.clock())
        rows = await fetch_rows(database, community_id, "members_grouped_count", ["grouping_type"])
        reported = {(row["grouping_type"], row["grouping_value"]): row["members_count"] for row in rows}
        assert {group: n for group, n in reported.items() if n} == {
            group: n for group, n in counts.items() if group[0] != "all"
        }
        for row in rows:
            group = row["grouping_type"], row["grouping_value"]
            if group in self.standing.changed_at:
                assert row["updated_at"] == self.standing.changed_at[group], group
        async with database.read_transaction(community_id) as scope:
            members = await scope.fetchval(
                "SELECT count(*) FROM members WHERE community_id = $1 AND is_member", community_id
            )
        assert members == counts["all", ""]

    async def check_over_time(self, interval: str, width: timedelta, count: int) -> None:
        database, community_id, now = self.club.database, self.club.community.id, self.club.clock.at

        def bucket(at: datetime) -> datetime:
            midnight = datetime(1900, 1, 1, tzinfo=UTC)
            return midnight + (at - midnight) // width * width

        last = bucket(now)
        starts = [last - width * (count - 1 - n) for n in range(count)]
        ends = [start + width for start in starts]
        expected = self.standing.history(now, bucket, list(zip(starts, ends, strict=True)), now - _RETENTION[interval])
        params = (interval, starts, ends)
        rows = await fetch_timeseries_rows(database, community_id, "members_count_history", ["grouping_type"], *params)
        reported: dict[Any, dict[datetime, int]] = {}
        for row in rows:
            reported.setdefault((row["grouping_type"], row["grouping_value"]), {})[row["bucket"]] = row["members_count"]
        total = expected.pop(("all", ""), {})
        assert reported == expected
        rows = await fetch_timeseries_rows(database, community_id, "members_count_history", [], *params)
        assert {row["bucket"]: row["members_count"] for row in rows} == total

        joins = [(bucket(at), join) for at, join in self.standing.membership_changes(now) if starts[0] <= at < ends[-1]]
        for fields in ([], ["gender"], ["age"], ["consents"], ["optin_platform"], ["gender", "optin_channel", "age"]):
            columns = [each for field in fields for each in _COLUMNS.get(field, (field,))]
            key = _key(["type", *columns])
            rows = await fetch_timeseries_rows(database, community_id, "member_balance", fields, *params)
            balance: Counter[Any] = Counter()
            for row in rows:
                balance[row["bucket"], key(row)] += int(row["count"])
            assert balance == Counter((start, key(join)) for start, join in joins), fields


_RETENTION = {"5m": timedelta(days=14), "1h": timedelta(days=184), "1d": timedelta(days=731)}
_COLUMNS = {"consents": ("consents_true", "consents_false")}


def _key(columns: list[str]) -> Callable[[dict[str, Any]], Any]:
    def key(row: dict[str, Any]) -> Any:
        values = (row[column] for column in columns)
        return tuple(tuple(value) if isinstance(value, list) else value for value in values)

    return key


@pytest.mark.slow
@pytest.mark.parametrize("example", range(examples(1)))
async def test_counts_history_and_balance_equal_a_recount_of_random_changes(club: Club, example: int) -> None:
    world = World(club, SEED + example)
    for _ in range(3):
        for _ in range(15):
            await world.pass_on()
        await world.check()
        await compact(club.database, club.community.id)
        await world.check()


def test_the_five_minutes_of_a_timestamp() -> None:
    assert five_minutes(datetime(2026, 1, 1, 1, 59, 59, tzinfo=UTC)) == datetime(2026, 1, 1, 1, 55, tzinfo=UTC)
