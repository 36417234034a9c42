"""Actions change the facts as the server would."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from aggregations.actions import (
    Action,
    Boundary,
    ChangeProfile,
    ChangeTransaction,
    ClaimTransaction,
    CreateProfile,
    CreateTransaction,
    DeleteTransaction,
    MergeProfiles,
    MoveTransaction,
    ProfileDraft,
    StepClock,
    VoidTransaction,
    apply,
    clock_after,
)
from aggregations.case import at, purchase
from oracle import Address, Community, Facts, Item, Location, Product

NOW = at("2026-11-01")
FIRST, SECOND = UUID(int=1), UUID(int=2)
EMPTY = Facts(
    Community(),
    {7: Location(7), 8: Location(8)},
    {5: Product(5)},
    {},
    {},
)


def after(facts: Facts, *actions: Action) -> Facts:
    for number, action in enumerate(actions, start=1):
        facts = apply(facts, action, NOW, UUID(int=number) if isinstance(action, CreateProfile) else number)
    return facts


def two_profiles(first: ProfileDraft, second: ProfileDraft) -> Facts:
    return after(EMPTY, CreateProfile(first), CreateProfile(second))


def test_a_profile_without_a_join_date_joins_when_it_is_created() -> None:
    facts = two_profiles(ProfileDraft(), ProfileDraft(joined_at=None))
    assert [each.joined_at for each in facts.profiles.values()] == [NOW, None]


def test_an_update_without_a_join_date_preserves_it() -> None:
    facts = after(EMPTY, CreateProfile(ProfileDraft(joined_at=at("2020-01-01"), joined_location=0)))
    changed = after(facts, ChangeProfile(3, ProfileDraft(preferred_location=1)))
    profile = changed.profiles[FIRST]
    assert profile.joined_at == at("2020-01-01")
    assert (profile.joined_location_id, profile.preferred_location_id) == (None, 8)


def test_a_merge_reassigns_transactions_and_addresses_with_one_default() -> None:
    address = Address("NO", is_default=True)
    facts = two_profiles(ProfileDraft(addresses=(address,)), ProfileDraft(addresses=(address,)))
    facts = apply(facts, CreateTransaction(0, purchase("2026-10-01", "1")), NOW, 9)
    merged = apply(facts, MergeProfiles(0, 0), NOW, 0)
    assert list(merged.profiles) == [SECOND]
    assert merged.profiles[SECOND].addresses == (address, replace(address, is_default=False))
    assert merged.transactions[9].profile_id == SECOND


def test_a_merge_preserves_the_only_default_address() -> None:
    address = Address("NO", is_default=True)
    facts = two_profiles(ProfileDraft(addresses=(address,)), ProfileDraft(addresses=(Address("SE"),)))
    merged = apply(facts, MergeProfiles(0, 0), NOW, 0)
    assert merged.profiles[SECOND].addresses == (Address("SE"), address)


def test_non_empty_fields_of_the_destination_win_in_a_merge() -> None:
    facts = two_profiles(
        ProfileDraft(at("2020-01-01"), joined_location=0, preferred_location=0),
        ProfileDraft(None, joined_location=1),
    )
    merged = apply(facts, MergeProfiles(0, 0), NOW, 0).profiles[SECOND]
    assert (merged.joined_location_id, merged.preferred_location_id) == (8, 7)
    assert merged.joined_at == at("2020-01-01")


def test_a_merge_preserves_the_earlier_join() -> None:
    facts = two_profiles(ProfileDraft(at("2021-01-01")), ProfileDraft(at("2020-01-01")))
    assert apply(facts, MergeProfiles(0, 0), NOW, 0).profiles[SECOND].joined_at == at("2020-01-01")


def test_a_single_profile_is_not_merged() -> None:
    facts = after(EMPTY, CreateProfile(ProfileDraft()))
    assert apply(facts, MergeProfiles(0, 0), NOW, 0) is facts


def test_only_anonymous_transactions_are_claimed_and_only_owned_ones_reassigned() -> None:
    facts = two_profiles(ProfileDraft(), ProfileDraft())
    facts = apply(facts, CreateTransaction(0, purchase("2026-10-01", "1")), NOW, 8)
    facts = apply(facts, CreateTransaction(None, purchase("2026-10-01", "1")), NOW, 9)
    claimed = apply(facts, ClaimTransaction(1, 1), NOW, 0)
    assert [each.profile_id for each in claimed.transactions.values()] == [FIRST, SECOND]
    moved = apply(facts, MoveTransaction(1, 1), NOW, 0)
    assert [each.profile_id for each in moved.transactions.values()] == [SECOND, None]


def test_a_transaction_is_changed_voided_and_deleted() -> None:
    draft = purchase("2026-10-01", "1", place=3, external_id="a", items=(Item(4),))
    facts = after(EMPTY, CreateProfile(ProfileDraft()), CreateTransaction(0, draft))
    assert facts.transactions[2].location_id == 8
    assert facts.transactions[2].items == (Item(5),)
    changed = apply(facts, ChangeTransaction(0, purchase("2026-10-02", "2", external_id="a")), NOW, 0)
    assert changed.transactions[2] == replace(purchase("2026-10-02", "2", external_id="a"), id=2, profile_id=FIRST)
    assert apply(facts, VoidTransaction(0), NOW, 0).transactions[2].is_void
    assert not apply(facts, DeleteTransaction(0), NOW, 0).transactions


def test_external_ids_are_unique() -> None:
    named = CreateTransaction(None, purchase("2026-10-01", "1", external_id="a"))
    facts = after(EMPTY, named, named)
    assert [each.external_id for each in facts.transactions.values()] == ["a", None]


def test_the_clock_steps_to_a_boundary_and_never_back() -> None:
    facts = after(EMPTY, CreateProfile(ProfileDraft(None)), CreateTransaction(0, purchase("2026-10-01", "1")))
    assert clock_after(facts, StepClock(Boundary(0, -1)), NOW) == at("2026-12-31 23:59:59.999999")
    assert clock_after(facts, StepClock(Boundary(5, 0)), NOW) == at("2027-04-01")
    assert clock_after(facts, StepClock(at("2020-01-01")), NOW) == NOW
    assert clock_after(EMPTY, StepClock(Boundary(0, 0)), NOW) == NOW
