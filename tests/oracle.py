"""What every profile aggregation is, by brute force: the answer that every engine must give.

Written from the specification alone, sharing no code with the package, to be read beside its sentences.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

# ISO 4217: the currencies whose minor unit has more than two decimals. Fewer than two are stored as two.
LONG_MINOR_UNITS = {"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3, "CLF": 4, "UYW": 4}

# ISO 3166-1: each word is an alpha-2 code and its alpha-3 code.
ISO_COUNTRIES = """
ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA AZAZE BABIH BBBRB
BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES BRBRA BSBHS BTBTN BVBVT BWBWA BYBLR
BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK CLCHL CMCMR CNCHN COCOL CRCRI CUCUB CVCPV CWCUW CXCXR
CYCYP CZCZE DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST EGEGY EHESH ERERI ESESP ETETH FIFIN FJFJI FKFLK
FMFSM FOFRO FRFRA GAGAB GBGBR GDGRD GEGEO GFGUF GGGGY GHGHA GIGIB GLGRL GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS
GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD HNHND HRHRV HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD IOIOT IQIRQ IRIRN
ISISL ITITA JEJEY JMJAM JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO
LBLBN LCLCA LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD
MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM NCNCL NENER
NFNFK NGNGA NINIC NLNLD NONOR NPNPL NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG PHPHL PKPAK PLPOL PMSPM
PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY QAQAT REREU ROROU RSSRB RURUS RWRWA SASAU SBSLB SCSYC SDSDN SESWE SGSGP
SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD STSTP SVSLV SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF
TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY
UZUZB VAVAT VCVCT VEVEN VGVGB VIVIR VNVNM VUVUT WFWLF WSWSM YEYEM YTMYT ZAZAF ZMZMB ZWZWE
"""
ALPHA_3 = {word[:2]: word[2:] for word in re.findall(r"\w+", ISO_COUNTRIES)}
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


@dataclass(frozen=True)
class Community:
    timezone: str = "UTC"
    currency: str = "EUR"
    country: str | None = None
    void_statuses: tuple[str, ...] = ("cancelled", "canceled", "voided", "failed")


@dataclass(frozen=True)
class Location:
    id: int
    external_id: str | None = None
    type: str | None = None
    timezone: str | None = None
    country: str | None = None  # alpha-2, already resolved: of its address, else its country_iso_3
    iso_state: str | None = None
    state: str | None = None


@dataclass(frozen=True)
class Product:
    id: int
    brand: str | None = None


@dataclass(frozen=True)
class Item:
    product_id: int | None = None
    brand: str | None = None
    quantity: Decimal = Decimal(1)
    price_current: Decimal | None = None  # None is the price_sell
    price_sell: Decimal = Decimal(0)
    discounts: tuple[Decimal, ...] = ()
    is_void: bool = False


@dataclass(frozen=True)
class Transaction:
    id: int
    transacted_at: datetime
    total: Decimal
    profile_id: UUID | None = None
    external_id: str | None = None
    currency: str | None = None  # None is the community's
    currency_rate: Decimal | None = None
    timezone: str | None = None
    location_id: int | None = None
    systems: tuple[str, ...] = ()
    is_void: bool = False
    items: tuple[Item, ...] = ()
    status: str | None = None  # one of the community's void statuses, in any case, voids it too


@dataclass(frozen=True)
class Address:
    country: str | None = None
    iso_state: str | None = None
    state: str | None = None
    is_default: bool = False


@dataclass(frozen=True)
class Profile:
    id: UUID
    joined_at: datetime | None = None  # None was sent as null; one not sent is the time of making
    joined_location_id: int | None = None
    preferred_location_id: int | None = None
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Facts:
    """The facts of one community by id."""

    community: Community
    locations: dict[int, Location]
    products: dict[int, Product]
    profiles: dict[UUID, Profile]
    transactions: dict[int, Transaction]


def expected_values(facts: Facts, profile_id: UUID, as_of: datetime) -> dict[str, object]:
    """Every aggregation of the profile at `as_of`, in the order of the specification.

    Money is a Decimal with the community currency's decimals (at least 2), instants are in UTC, a location
    is its id. Raises KeyError where the profile does not exist.
    """
    shown = _Shown(facts, facts.profiles[profile_id], as_of.astimezone(UTC))
    return {**_values_of_the_seed(shown), **_newer_values(shown)}


def next_change_at(facts: Facts, profile_id: UUID, as_of: datetime) -> datetime | None:
    """The first instant after `as_of` at which the clock alone changes a value other than `calculated_at`."""
    now = expected_values(facts, profile_id, as_of)
    for moment in change_instants(facts, profile_id, as_of):
        if expected_values(facts, profile_id, moment) | {"calculated_at": now["calculated_at"]} != now:
            return moment
    return None


def change_instants(facts: Facts, profile_id: UUID, as_of: datetime) -> list[datetime]:
    """The instants after `as_of` at which the clock might change a value, ascending.

    They are complete up to the next stage of `dimension_join`: between two of them no value changes.
    """
    found = set(_join_moments(facts, facts.profiles[profile_id], as_of))
    for transaction in facts.transactions.values():
        if transaction.profile_id == profile_id and not _is_void(facts, transaction):
            found |= {add_months(transaction.transacted_at, months) for months in (0, 3, 6, 12, 24)}
    return sorted(moment for moment in found if moment > as_of)


def _is_void(facts: Facts, transaction: Transaction) -> bool:
    status = (transaction.status or "").lower()
    return transaction.is_void or status in facts.community.void_statuses


def add_months(instant: datetime, months: int) -> datetime:
    """The instant some calendar months later in UTC; a day the month lacks becomes its last."""
    instant = instant.astimezone(UTC)
    year, month = divmod(instant.year * 12 + instant.month - 1 + months, 12)
    last_day = calendar.monthrange(year, month + 1)[1]
    return instant.replace(year=year, month=month + 1, day=min(instant.day, last_day))


def location_order(location: Location) -> tuple[bool, str, int]:
    """Sorts by external_id in code-point order, null last, then id."""
    return location.external_id is None, location.external_id or "", location.id


def transaction_order(transaction: Transaction) -> tuple[datetime, bool, str, int]:
    """Sorts by instant, then external_id in code-point order, null last, then id."""
    name = transaction.external_id
    return transaction.transacted_at.astimezone(UTC), name is None, name or "", transaction.id


class _Shown:
    """The part of the facts that shows at `as_of`: the counted transactions of one profile, and its sales."""

    def __init__(self, facts: Facts, profile: Profile, as_of: datetime) -> None:
        self.facts, self.profile, self.as_of = facts, profile, as_of
        self.decimals = LONG_MINOR_UNITS.get(facts.community.currency, 2)
        own = [each for each in facts.transactions.values() if each.profile_id == profile.id]
        counted = [each for each in own if not _is_void(facts, each) and each.transacted_at <= as_of]
        self.counted = sorted(counted, key=transaction_order)
        self.sales = [each for each in self.counted if each.total > 0]
        self.shop_days = sorted({self.transacted_on(sale) for sale in self.sales})
        self.joined_at = profile.joined_at and profile.joined_at.astimezone(UTC)
        self.joined_on = self.joined_at and _local_date(facts, self.joined_at)

    def within(
        self, months: int, transactions: Iterable[Transaction], instant: datetime | None = None
    ) -> list[Transaction]:
        """Those within the months of an instant, by default as_of."""
        return [each for each in transactions if (instant or self.as_of) < add_months(each.transacted_at, months)]

    def within_12m_of_the_last(self, transactions: Iterable[Transaction]) -> list[Transaction]:
        """Those within 12 months of the last recalculation, which is the last counted transaction."""
        return self.within(12, transactions, self.counted[-1].transacted_at if self.counted else None)

    def location(self, transaction: Transaction) -> Location | None:
        return None if transaction.location_id is None else self.facts.locations[transaction.location_id]

    def locations(self, transactions: Iterable[Transaction]) -> list[Location]:
        return [location for each in transactions if (location := self.location(each))]

    def transacted_on(self, transaction: Transaction) -> date:
        location = self.location(transaction)
        zone = transaction.timezone or (location and location.timezone) or self.facts.community.timezone
        return transaction.transacted_at.astimezone(ZoneInfo(zone)).date()

    def rate(self, transaction: Transaction) -> Fraction:
        if transaction.currency in (None, self.facts.community.currency):
            return Fraction(1)  # a rate that came with the community's own currency means nothing
        assert transaction.currency_rate, "a foreign currency has a rate"
        return Fraction(transaction.currency_rate)

    def net(self, transactions: Iterable[Transaction]) -> int:
        """The net spend in minor units: each amount is rounded once, half-even as round() does a Fraction."""
        amounts = (Fraction(each.total) * self.rate(each) for each in transactions)
        return sum(round(amount * 10**self.decimals) for amount in amounts)

    def money(self, minor_units: int) -> Decimal:
        return Decimal(minor_units).scaleb(-self.decimals)


def _values_of_the_seed(shown: _Shown) -> dict[str, object]:
    counted, sales, days = shown.counted, shown.sales, shown.shop_days
    today = _local_date(shown.facts, shown.as_of)
    counted_12m, sales_12m = shown.within_12m_of_the_last(counted), shown.within_12m_of_the_last(sales)
    country, country_score = _vote(shown, "country")
    return {
        "profile_id": shown.profile.id,
        "shop_days": _half_up(_interval(days)) if len(days) >= 2 else None,
        "spend_12m": shown.money(shown.net(counted_12m)),
        "spend_all": shown.money(shown.net(counted)),
        "spend_atv_12m": _half_even_average(shown, counted_12m, len(sales_12m)),
        "spend_atv_all": _half_even_average(shown, counted, len(sales)),
        "spend_first_date": counted[0].transacted_at.astimezone(UTC) if counted else None,
        "spend_last_date": counted[-1].transacted_at.astimezone(UTC) if counted else None,
        "dimension_frequency": f"F{len(sales)}" if len(sales) < 3 else "FL" if _interval(days) > 30 else "FH",
        "dimension_recency": _recency(shown),
        "dimension_join": shown.joined_on and _join_stage((today - shown.joined_on).days),
        "channel": _channel(shown),
        "shop_count": len(sales),
        "store_join": next((location.id for location in shown.locations(sales)), None),
        "likely_country": country,
        "likely_country_score": country_score,
        "purchased_brands": _purchased_brands(shown),
        # Where the 24 months hold sales, but none at a location, all time does not step in.
        "most_transacted_location": _most(shown, shown.within(24, sales) or sales, len),
    }


def _newer_values(shown: _Shown) -> dict[str, object]:
    days, joined_at, joined_on = shown.shop_days, shown.joined_at, shown.joined_on
    visited = shown.locations(shown.sales)
    average_days = _half_up(Fraction((days[-1] - days[0]).days, len(days))) if len(days) >= 3 else None
    on_latest_day = [each for each in shown.counted if days and shown.transacted_on(each) == days[-1]]
    country, country_score = _vote(shown, "country")
    iso_state, iso_state_score = _vote(shown, "iso_state", country)
    region, region_score = _vote(shown, "state", country)
    return {
        "spend_12m_now": shown.money(shown.net(shown.within(12, shown.counted))),
        "first_shop_date": days[0] if days else None,
        "second_shop_date": days[1] if len(days) >= 2 else None,
        "previous_shop_date": days[-2] if len(days) >= 2 else None,
        "latest_shop_date": days[-1] if days else None,
        "first_shop_days": max(0, (days[0] - joined_on).days) if days and joined_on else None,
        "second_shop_days": (days[1] - days[0]).days if len(days) >= 2 else None,
        "latest_shop_days": (days[-1] - days[-2]).days if len(days) >= 2 else None,
        "average_shop_days": average_days,
        "total_shop_days": len(days),
        "at_risk_date": None if average_days is None else days[-1] + timedelta(days=3 * average_days),
        "latest_shop_spend": shown.money(shown.net(on_latest_day)) if days else None,
        "latest_shop_currency": shown.facts.community.currency if days else None,
        "latest_transacted_location": visited[-1].id if visited else None,
        "most_spend_location": _most(shown, shown.counted, shown.net),
        "most_spend_12m_location": _most(shown, shown.within_12m_of_the_last(shown.counted), shown.net),
        "transacted_locations": [each.id for each in sorted(set(visited), key=location_order)],
        "likely_country_iso": country and ALPHA_3[country],
        "likely_country_iso_score": country_score,
        "likely_state_iso": iso_state,
        "likely_state_iso_score": iso_state_score,
        "likely_region": region,
        "likely_region_score": region_score,
        "discount_avg": _discount_avg(shown),
        "join_hour": joined_at and joined_at.hour,
        "join_day": joined_at and WEEKDAYS[joined_at.weekday()],
        "total_referred": None,
        "top_historic_status": None,
        "calculated_at": shown.as_of,
    }


def _local_date(facts: Facts, instant: datetime) -> date:
    return instant.astimezone(ZoneInfo(facts.community.timezone)).date()


def _half_up(number: Fraction) -> int:
    return math.floor(number + Fraction(1, 2))


def _half_even_average(shown: _Shown, counted: list[Transaction], sales: int) -> Decimal | None:
    return shown.money(round(Fraction(shown.net(counted), sales))) if sales else None


def _interval(days: list[date]) -> Fraction:
    return Fraction((days[-1] - days[0]).days, len(days) - 1) if len(days) >= 2 else Fraction(0)


def _recency(shown: _Shown) -> str:
    for months, code in (3, "RC"), (6, "RS"), (12, "RA"):
        if shown.within(months, shown.sales[-1:]):
            return code
    return "RI" if shown.sales else "R0"


def _join_stage(days: int) -> str:
    if days <= 365:
        return "JN" if days <= 90 else "JC"
    return f"J{(days - 1) // 365}"


def _channel(shown: _Shown) -> str | None:
    channels: set[str] = set()
    for sale in shown.sales:
        location = shown.location(sale)
        named = {"pos", "web"} & {system.lower() for system in sale.systems}
        if not named and location and location.type is not None:
            named = {"web" if location.type == "online" else "pos"}
        channels |= named
    return {"pos web": "CM", "pos": "CF", "web": "CO"}.get(" ".join(sorted(channels)))


def _most(shown: _Shown, among: list[Transaction], size: Callable[[list[Transaction]], int]) -> int | None:
    """The location where `size` of its transactions is largest and above 0."""
    ranks = {}
    for location in shown.facts.locations.values():
        size_there = size([each for each in among if each.location_id == location.id])
        if size_there > 0:
            # The last sale there of all, also where `among` is a window that it has already left.
            last_sale = [sale for sale in shown.sales if sale.location_id == location.id][-1]
            ranks[location] = size_there, last_sale.transacted_at.astimezone(UTC)
    ties = [location for location in ranks if ranks[location] == max(ranks.values())]
    return min(ties, key=location_order).id if ties else None


def _sources(shown: _Shown) -> list[tuple[int, Sequence[Location | Address]]]:
    """The weight of each source of votes, and its places."""
    ids = shown.profile.joined_location_id, shown.profile.preferred_location_id
    joined, preferred = ([] if each is None else [shown.facts.locations[each]] for each in ids)
    addresses = [each for each in shown.profile.addresses for _ in range(1 + each.is_default)]
    return [(4, shown.locations(shown.within(24, shown.sales))), (2, joined), (2, preferred), (2, addresses)]


def _vote(shown: _Shown, field: str, country: str | None = None) -> tuple[str | None, int | None]:
    """The winner and its score; a source shares its weight among its places that have the field."""
    votes: dict[str, Fraction] = {}
    for weight, places in _sources(shown):
        inside = [each for each in places if each.country is not None and country in (None, each.country)]
        chosen = [getattr(place, field) for place in inside if getattr(place, field) is not None]
        for name in chosen:
            votes[name] = votes.get(name, Fraction(0)) + Fraction(weight, len(chosen))
    if not votes:
        return None, None
    winner = min(votes, key=lambda name: (-votes[name], name))
    return winner, 4 - min(3, math.floor(4 * votes[winner] / sum(votes.values())))


def _sold_items(transaction: Transaction) -> list[Item]:
    return [item for item in transaction.items if not item.is_void and item.quantity > 0]


def _purchased_brands(shown: _Shown) -> list[str]:
    brands = set()
    for item in (item for each in shown.counted for item in _sold_items(each)):
        product_brand = None if item.product_id is None else shown.facts.products[item.product_id].brand
        brands.add(item.brand if product_brand is None else product_brand)
    return sorted(brand for brand in brands if brand is not None)


def _discount_avg(shown: _Shown) -> Decimal | None:
    discounts = prices = Fraction(0)
    for sale in shown.sales:
        for item in _sold_items(sale):
            price = item.price_sell if item.price_current is None else item.price_current
            prices += Fraction(price) * Fraction(item.quantity) * shown.rate(sale)
            discounts += sum(map(Fraction, item.discounts)) * shown.rate(sale)
    return Decimal(round(discounts / prices * 100 * 100)).scaleb(-2) if prices else None


def _join_moments(facts: Facts, profile: Profile, as_of: datetime) -> list[datetime]:
    """Where the local date passes the nearest days that begin a stage of `dimension_join`."""
    if profile.joined_at is None:
        return []
    joined_on, today = _local_date(facts, profile.joined_at), _local_date(facts, as_of)
    begins = [joined_on + timedelta(days=days) for days in (91, *range(366, 365 * 1200, 365))]
    # A day or two back as well: a clock set back over midnight returns to a day that has already begun.
    near = [day for day in begins if day >= today - timedelta(days=2)][:2]
    return [moment for day in near for moment in _passages(facts.community.timezone, day)]


@cache
def _passages(zone: str, day: date) -> list[datetime]:
    """The minutes at which the local date passes the start of `day`, either way: clocks are set back too."""
    midnight, info = datetime.combine(day, time(), UTC), ZoneInfo(zone)
    minutes = [midnight + timedelta(minutes=minute) for minute in range(-36 * 60, 36 * 60)]
    begun = [minute.astimezone(info).date() >= day for minute in minutes]
    return [after for after, was, now in zip(minutes[1:], begun, begun[1:], strict=False) if was != now]
