"""A plain recount of what was bought, from the facts read after each commit, by nothing but loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from regulars.model.community import Community
from regulars.storage.database import Database
from reports.member_recount import age_group

Json = dict[str, Any]
DIMENSIONS = ("dimension_frequency", "dimension_recency", "dimension_join")
CENT = Decimal("0.01")


def cents(value: Decimal) -> Decimal:
    """Rounded half-even to two decimals."""
    return value.quantize(CENT, ROUND_HALF_EVEN)


@dataclass
class PurchaseRecount:
    """Every transaction as it stands, and its buyer as it was in the transaction's first commit."""

    community: Community
    first_buyer: dict[int, Json] = field(default_factory=dict)
    transactions: list[Json] = field(default_factory=list)

    async def read(self, database: Database) -> None:
        """Reads the facts after a commit."""
        own = self.community.id
        async with database.read_transaction(own) as scope:
            sales = await scope.fetch("SELECT * FROM transactions WHERE community_id = $1", own)
            lines = await scope.fetch("SELECT * FROM transaction_items WHERE community_id = $1", own)
            profiles = await scope.fetch("SELECT * FROM profiles WHERE community_id = $1", own)
            values = await scope.fetch("SELECT * FROM profile_aggregations WHERE community_id = $1", own)
            places = await scope.fetch("SELECT id, type FROM locations WHERE community_id = $1", own)
        by_id = {row["profile_id"]: row for row in profiles}
        known = {row["profile_id"]: row for row in values}
        types = {row["id"]: row["type"] for row in places}
        self.transactions = []
        for row in sales:
            if row["id"] not in self.first_buyer:
                self.first_buyer[row["id"]] = self._buyer(
                    by_id.get(row["profile_id"]), known.get(row["profile_id"]), database.clock()
                )
            own_lines = [line for line in lines if line["transaction_id"] == row["id"] and not line["is_void"]]
            self.transactions.append(self._as_counted(row, own_lines, types))

    def _buyer(self, profile: Any, values: Any, now: datetime) -> Json:
        dimensions = {name: None if values is None else values[name] for name in DIMENSIONS}
        if profile is None:
            return {**dimensions, "gender": None, "age": None}
        day = now.astimezone(ZoneInfo(self.community.timezone)).date()
        born = None
        if profile["birth_year"] is not None:
            born = day.replace(
                year=profile["birth_year"], month=profile["birth_month"] or 1, day=profile["birth_day"] or 1
            )
        return {**dimensions, "gender": profile["gender"], "age": age_group(born, day)}

    def _as_counted(self, row: Any, lines: list[Any], types: Json) -> Json:
        is_own = row["currency"] in (None, self.community.currency)
        rate = Decimal(1) if is_own else row["currency_rate"]
        brands: dict[str | None, Decimal] = defaultdict(Decimal)
        for line in lines:
            brands[line["brand"]] += (line["price_sell"] or 0) * line["quantity"] * rate
        systems = {each.lower() for each in row["systems"]} & {"pos", "web"}
        kind = types.get(row["location_id"])
        if not systems and kind:
            systems = {"web" if kind == "online" else "pos"}
        channel = {2: "CM", 1: "CO" if "web" in systems else "CF", 0: None}[len(systems)]
        return {
            **self.first_buyer[row["id"]],
            "id": row["id"],
            "at": row["transacted_at"],
            "is_void": row["is_void"],
            "total": row["total"],
            "amount": cents(row["total"] * rate),
            "profile": row["profile_id"],
            "location": row["location_id"],
            "channel": channel,
            "brands": {brand: cents(amount) for brand, amount in brands.items()},
        }

    def measure(
        self,
        since: datetime,
        until: datetime,
        now: datetime,
        by: str | None = None,
        bucket: Callable[[datetime], Hashable] = lambda at: None,
        only: Callable[[Json], bool] = lambda each: True,
    ) -> dict[tuple[Hashable, Any], Json]:
        """The measures of each bucket and value."""
        return measure(self.transactions, since, until, now, by, bucket, only)


def transactions_in_range(
    transactions: Iterable[Json], since: datetime, until: datetime, now: datetime
) -> Iterator[Json]:
    """What was bought from `since` to before `until`."""
    for each in transactions:
        if not each["is_void"] and since <= each["at"] < until and each["at"] <= now:
            yield each


def measure(
    transactions: Iterable[Json],
    since: datetime,
    until: datetime,
    now: datetime,
    by: str | None = None,
    bucket: Callable[[datetime], Hashable] = lambda at: None,
    only: Callable[[Json], bool] = lambda each: True,
) -> dict[tuple[Hashable, Any], Json]:
    """The measures of each bucket and value."""
    sales: dict[tuple[Hashable, Any], int] = defaultdict(int)
    amounts: dict[tuple[Hashable, Any], Decimal] = defaultdict(Decimal)
    members: dict[tuple[Hashable, Any], set[Any]] = defaultdict(set)
    for each in filter(only, transactions_in_range(transactions, since, until, now)):
        under = each["brands"] if by == "brand" else {each[by] if by else None: each["amount"]}
        for value, amount in under.items():
            key = (bucket(each["at"]), value)
            sales[key] += each["total"] > 0
            amounts[key] += amount
            members[key] |= {each["profile"]} - {None}
    return {
        key: {
            "transactions": number,
            "net_amount": amounts[key],
            "members": len(members[key]),
            "average_value": cents(amounts[key] / number) if number else None,
        }
        for key, number in sales.items()
    }
