from collections import Counter, defaultdict
from datetime import date, datetime, timedelta

from regulars.demo.mall.profiles import GROUPS
from regulars.demo.rows import LocationRecord, MembershipRecord, ProfileRecord, TransactionRecord


def test_members_buy_after_they_joined_but_for_a_few_earlier_receipts(
    receipts: list[TransactionRecord], profiles: dict[str, ProfileRecord]
) -> None:
    known = [row for row in receipts if row["profile"] is not None]
    early = [row for row in known if row["transacted_at"] < profiles[row["profile"] or ""]["joined_at"]]
    assert 0 < len(early) < 0.01 * len(known)
    for row in early:
        assert profiles[row["profile"] or ""]["joined_at"] - row["transacted_at"] < timedelta(days=12)


def test_there_are_loyal_occasional_lapsed_one_time_and_never_shopping_members(
    as_of: datetime, sales_of: dict[str, list[TransactionRecord]], profiles: dict[str, ProfileRecord]
) -> None:
    never = 1 - len(sales_of) / len(profiles)
    once = sum(len(sales) == 1 for sales in sales_of.values()) / len(profiles)
    year_ago = as_of - timedelta(days=365)
    lapsed = sum(sales[-1]["transacted_at"] < year_ago for sales in sales_of.values()) / len(profiles)
    month_ago = as_of - timedelta(days=31)
    loyal = sum(len(s) > 20 and s[-1]["transacted_at"] > month_ago for s in sales_of.values()) / len(profiles)
    assert 0.1 < never < 0.25
    assert 0.12 < once < 0.28
    assert 0.12 < lapsed < 0.35
    assert 0.08 < loyal < 0.2


def test_a_fifth_of_the_members_make_most_of_the_purchases(sales_of: dict[str, list[TransactionRecord]]) -> None:
    counts = sorted((len(sales) for sales in sales_of.values()), reverse=True)
    assert 0.55 < sum(counts[:400]) / sum(counts) < 0.85


def test_members_buy_in_stores_online_and_in_both(sales_of: dict[str, list[TransactionRecord]]) -> None:
    channels = Counter(
        tuple(sorted({system for row in sales for system in row["systems"]})) for sales in sales_of.values()
    )
    assert all(channels[kind] > 150 for kind in [("pos",), ("web",), ("pos", "web")])


def test_every_member_joins_first_and_few_leave_and_come_back(
    memberships: list[MembershipRecord], profiles: dict[str, ProfileRecord]
) -> None:
    by_member: dict[str, list[MembershipRecord]] = defaultdict(list)
    for row in memberships:
        by_member[row["profile"]].append(row)
    assert set(by_member) == set(profiles)
    for member, rows in by_member.items():
        assert [row["type"] for row in rows] in (["in"], ["in", "out"], ["in", "out", "in"])
        assert rows[0]["at"] == profiles[member]["joined_at"]
        assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    kinds = Counter(len(rows) for rows in by_member.values())
    assert 0.04 < (kinds[2] + kinds[3]) / len(profiles) < 0.09
    assert kinds[3] >= 5
    assert len({row["external_id"] for row in memberships}) == len(memberships)


def test_former_members_have_no_purchases(
    receipts: list[TransactionRecord], memberships: list[MembershipRecord]
) -> None:
    left = {row["profile"]: row["at"] for row in memberships if row["type"] == "out"}
    back = {row["profile"]: row["at"] for row in memberships if row["external_id"].endswith("-3")}
    for row in receipts:
        member = row["profile"] or ""
        if member in left and row["transacted_at"] >= left[member]:
            assert member in back
            assert row["transacted_at"] >= back[member]


def test_the_launch_brings_a_wave_of_members(as_of: datetime, profiles: dict[str, ProfileRecord]) -> None:
    first_months = sum(row["joined_at"] < as_of - timedelta(days=1035) for row in profiles.values())
    assert 0.25 < first_months / len(profiles) < 0.5


def test_emails_and_phone_numbers_are_unique_and_unassigned(profiles: dict[str, ProfileRecord]) -> None:
    emails = [row["email"] for row in profiles.values() if row["email"] is not None]
    phones = [row["mobile_phone"] for row in profiles.values() if row["mobile_phone"] is not None]
    assert len(set(emails)) == len(emails) > 1_700
    assert len(set(phones)) == len(phones) > 1_600
    assert all(email.isascii() for email in emails)
    assert all(email.endswith(("@example.com", "@example.org", "@example.net")) for email in emails)
    assert all(phone.startswith(("+4743", "+4678", "+4585", "+35859", "+4892")) for phone in phones)
    assert all(row["email"] or row["mobile_phone"] for row in profiles.values())


def test_statuses_fit_the_consents(profiles: dict[str, ProfileRecord]) -> None:
    for row in profiles.values():
        assert set(row["consents"]) <= {
            "sms_marketing",
            "email_marketing",
            "push_marketing",
            "personal_offers",
        }
        assert (row["sms_status"] is None) == (row["mobile_phone"] is None)
        assert (row["email_status"] is None) == (row["email"] is None)
        assert (row["push_status"] == "enabled") == row["consents"].get("push_marketing", False)
        if row["email_status"] == "unsubscribed":
            assert row["consents"]["email_marketing"] is False
        if row["sms_status"] == "unsubscribed":
            assert row["consents"]["sms_marketing"] is False
    statuses = Counter(row["email_status"] for row in profiles.values())
    assert set(statuses) == {"enabled", "verified", "hard_bounced", "unsubscribed", "disabled", None}


def test_some_members_change_their_consents_after_joining(
    profiles: dict[str, ProfileRecord], memberships: list[MembershipRecord]
) -> None:
    on_joining = {row["profile"]: row["consents"] for row in memberships if row["external_id"].endswith("-1")}
    changed = [member for member, row in profiles.items() if row["consents"] != on_joining[member]]
    assert 0.15 < len(changed) / len(profiles) < 0.35


def test_references_of_profiles_exist(profiles: dict[str, ProfileRecord], locations: dict[str, LocationRecord]) -> None:
    for row in profiles.values():
        places = [
            row["joined_location_external_id"],
            row["preferred_location_external_id"],
            *row["favorite_stores"],
        ]
        assert all(place in locations for place in places if place is not None)
        assert set(row["group_ids"]) <= set(GROUPS)
        assert set(row["subunit_ids"]) <= set(range(1, 9))
        assert locations[row["joined_location_external_id"]]["type"] == (
            "store" if row["optin_channel"] == "pos" else "online"
        )


def test_known_birthdays_are_dates_of_people_between_15_and_92(
    as_of: datetime, profiles: dict[str, ProfileRecord]
) -> None:
    years = [row["birth_year"] for row in profiles.values() if row["birth_year"] is not None]
    assert 1_600 < len(years) < 1_900
    assert min(years) >= as_of.year - 92
    assert max(years) <= as_of.year - 16
    for row in profiles.values():
        if row["birth_day"] is not None:
            assert date(row["birth_year"] or 0, row["birth_month"] or 0, row["birth_day"]) < as_of.date()


def test_polish_family_names_agree_with_the_sex(profiles: dict[str, ProfileRecord]) -> None:
    names = {(row["gender"], row["last_name"]) for row in profiles.values()}
    assert not any(name.endswith(("ski", "cki")) for gender, name in names if gender == "female")
    assert not any(name.endswith(("ska", "cka")) for gender, name in names if gender == "male")
    assert any(name.endswith("ska") for _, name in names)


def test_members_live_in_five_countries_and_speak_their_languages(profiles: dict[str, ProfileRecord]) -> None:
    homes = Counter(row["addresses"][0]["iso"] for row in profiles.values() if row["addresses"])
    assert [country for country, _ in homes.most_common()][:2] == ["NO", "SE"]
    assert set(homes) == {"NO", "SE", "DK", "FI", "PL"}
    languages = Counter(row["properties"]["language"] for row in profiles.values())
    assert {"nb", "sv", "da", "fi", "pl", "en"} <= set(languages)
    for row in profiles.values():
        assert [address["is_default"] for address in row["addresses"]] in ([], [True], [True, False])
