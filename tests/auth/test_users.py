"""Users, their roles and sessions: who signs in, what they may do, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clubs import Club
from regulars.auth import passwords, roles, sessions, sign_in, tokens, users
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import PrincipalKind
from regulars.auth.roles import NewRole, Role
from regulars.auth.sessions import Session
from regulars.auth.tokens import NewToken
from regulars.auth.users import NewUser, User
from regulars.core.errors import ValidationError

PASSWORD = "correct horse battery"
HASH = passwords.hash_password(PASSWORD)


def organization(club: Club) -> int:
    return club.community.organization_id


def email_of(club: Club, name: str = "ada") -> str:
    return f"{name}@{club.community.slug}.example"


async def create_role(club: Club, new: NewRole | None = None) -> Role:
    async with club.database.organization_transaction(organization(club)) as connection:
        return await roles.create(connection, organization(club), new or roles.ADMINISTRATOR, club.clock())


async def create_user(club: Club, name: str = "ada", role: Role | None = None, hashed: str | None = HASH) -> User:
    role = role or await create_role(club)
    async with club.database.organization_transaction(organization(club)) as connection:
        new = NewUser(email_of(club, name), name.title(), role.id, hashed)
        return await users.create(connection, organization(club), new, club.clock())


async def enter(club: Club, password: str = PASSWORD, email: str | None = None, address: str | None = None) -> User:
    address = address or f"192.0.2.1 {club.community.slug}"
    run = club.server.worker_threads.run
    return await sign_in.authenticate_user(club.database, run, email or email_of(club), password, address)


async def open_session(club: Club, user: User) -> str:
    return await sessions.create(club.database, organization(club), user_id=user.id, address="::1", user_agent="test")


async def find_session(club: Club, secret: str) -> Session:
    found = await sessions.find(club.database, secret)
    assert found is not None
    return found


# Passwords ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 11, 257])
def test_a_password_of_a_wrong_length_is_rejected_with_its_length(length: int) -> None:
    with pytest.raises(ValidationError, match=f"has {length} characters. Allowed: 12 to 256"):
        passwords.require_valid("p" * length)


def test_a_generated_password_is_valid_and_differs_each_time() -> None:
    first, second = passwords.generate(), passwords.generate()
    passwords.require_valid(first)
    assert first != second


def test_no_password_fits_a_user_without_one() -> None:
    assert passwords.verify(PASSWORD, HASH)
    assert not passwords.verify("correct horse batterz", HASH)
    assert not passwords.verify(PASSWORD, None)
    assert not passwords.verify(PASSWORD, "not a hash")


# Users -------------------------------------------------------------------------------------------------------


async def test_an_email_address_is_stored_in_lower_case_and_has_one_user_on_the_server(
    club: Club, other_club: Club
) -> None:
    first = await create_user(club)
    role = await create_role(other_club)
    async with other_club.database.organization_transaction(organization(other_club)) as connection:
        new = NewUser(f"  {email_of(club).upper()} ", "Ada again", role.id, HASH)
        with pytest.raises(ValidationError, match="is the address of another user"):
            await users.create(connection, organization(other_club), new, club.clock())
    assert first.email == email_of(club)


@pytest.mark.parametrize("email", ["", "ada", "@shop", "a b@shop", "a@b@c", "a" * 200 + "@shop.example"])
async def test_text_that_is_no_email_address_is_rejected(club: Club, email: str) -> None:
    role = await create_role(club)
    async with club.database.organization_transaction(organization(club)) as connection:
        with pytest.raises(ValidationError, match="is not an e-mail address"):
            await users.create(connection, organization(club), NewUser(email, "Ada", role.id, HASH), club.clock())


async def test_a_user_needs_a_name_and_a_role_of_the_organization(club: Club, other_club: Club) -> None:
    foreign = await create_role(other_club)
    own = await create_role(club)
    with pytest.raises(ValidationError, match=r"role: \d+ is not a role of this organization"):
        await create_user(club, role=foreign)
    async with club.database.organization_transaction(organization(club)) as connection:
        new = NewUser(email_of(club), " ", own.id, HASH)
        with pytest.raises(ValidationError, match="name: has 1 characters"):
            await users.create(connection, organization(club), new, club.clock())


async def test_an_organization_sees_its_own_users_and_roles_only(club: Club, other_club: Club) -> None:
    user = await create_user(club)
    async with club.database.organization_transaction(organization(other_club)) as connection:
        assert await users.list_all(connection, organization(club)) == []
        assert await users.find(connection, organization(club), user.id) is None
        assert await roles.list_all(connection, organization(club)) == []
        assert not await users.set_active(connection, organization(club), user.id, club.clock(), is_active=False)
    async with club.database.organization_transaction(organization(club)) as connection:
        assert [each.name for each in await users.list_all(connection, organization(club))] == ["Ada"]


async def test_a_user_gets_another_role_of_the_organization(club: Club, other_club: Club) -> None:
    user = await create_user(club)
    analyst = await create_role(club, roles.ANALYST)
    foreign = await create_role(other_club)
    secret = await open_session(club, user)
    async with club.database.organization_transaction(organization(club)) as connection:
        assert await users.change_role(connection, organization(club), user.id, analyst.id, club.clock())
    assert (await find_session(club, secret)).principal.permits == tuple(roles.ANALYST.permits)
    with pytest.raises(ValidationError, match="is not a role of this organization"):
        async with club.database.organization_transaction(organization(club)) as connection:
            await users.change_role(connection, organization(club), user.id, foreign.id, club.clock())


# Roles -------------------------------------------------------------------------------------------------------


async def test_a_role_is_changed_and_deleted_when_no_user_has_it(club: Club) -> None:
    role = await create_role(club)
    user = await create_user(club, role=role)
    analyst = await create_role(club, roles.ANALYST)
    async with club.database.organization_transaction(organization(club)) as connection:
        new = NewRole("Shop", ["Location:Read"], [club.community.slug], [7])
        changed = await roles.update(connection, organization(club), role.id, new, club.clock())
        assert changed == Role(role.id, "Shop", ("Location:Read",), (club.community.slug,), (7,))
        assert await roles.update(connection, organization(club), 1, new, club.clock()) is None
        assert await roles.find_by_name(connection, organization(club), "Shop") == changed
        assert await roles.find_by_name(connection, organization(club), "Unknown") is None
    with pytest.raises(ValidationError, match="is the role of a user"):
        async with club.database.organization_transaction(organization(club)) as connection:
            await roles.delete(connection, organization(club), role.id)
    async with club.database.organization_transaction(organization(club)) as connection:
        await users.change_role(connection, organization(club), user.id, analyst.id, club.clock())
        assert await roles.delete(connection, organization(club), role.id)
        assert not await roles.delete(connection, organization(club), role.id)


async def test_two_roles_have_different_names(club: Club) -> None:
    first = await create_role(club)
    await create_role(club, roles.ANALYST)
    with pytest.raises(ValidationError, match="'Administrator' is the name of another role"):
        await create_role(club)
    with pytest.raises(ValidationError, match="'Analyst' is the name of another role"):
        async with club.database.organization_transaction(organization(club)) as connection:
            await roles.update(connection, organization(club), first.id, roles.ANALYST, club.clock())


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (NewRole(" ", []), "name: has 1 characters"),
        (NewRole("Shop", [], None, [7]), "must be exactly one customer"),
        (NewRole("Shop", [], ["a", "b"], [7]), "must be exactly one customer"),
    ],
)
async def test_an_invalid_role_is_rejected(club: Club, new: NewRole, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        await create_role(club, new)


# Signing in --------------------------------------------------------------------------------------------------


async def test_a_user_signs_in_with_the_password_and_any_spelling_of_the_address(club: Club) -> None:
    user = await create_user(club)
    assert (await enter(club, email=f" {email_of(club).upper()}")).id == user.id


@pytest.mark.parametrize("email", [None, "unknown@shop.example", "not an address"])
async def test_wrong_credentials_get_the_same_answer(club: Club, email: str | None) -> None:
    await create_user(club)
    with pytest.raises(AccessDenied, match=sign_in.INVALID_CREDENTIALS) as denied:
        await enter(club, "wrong password", email and f"{club.community.slug}{email}")
    assert denied.value.status == 401


async def test_a_deactivated_user_and_one_without_password_do_not_sign_in(club: Club) -> None:
    user = await create_user(club)
    await create_user(club, "oda", await create_role(club, roles.ANALYST), hashed=None)
    secret = await open_session(club, user)
    async with club.database.organization_transaction(organization(club)) as connection:
        assert await users.set_active(connection, organization(club), user.id, club.clock(), is_active=False)
    assert await sessions.find(club.database, secret) is None
    for email in (email_of(club), email_of(club, "oda")):
        with pytest.raises(AccessDenied, match=sign_in.INVALID_CREDENTIALS):
            await enter(club, email=email)
    async with club.database.organization_transaction(organization(club)) as connection:
        assert await users.set_active(connection, organization(club), user.id, club.clock(), is_active=True)
    assert (await enter(club)).is_active


async def test_after_ten_wrong_passwords_the_right_one_has_to_wait(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    await create_user(club)
    monkeypatch.setattr(passwords, "verify", lambda password, stored: password == PASSWORD)
    for _ in range(sign_in.MAX_FAILURES_PER_EMAIL):
        with pytest.raises(AccessDenied, match=sign_in.INVALID_CREDENTIALS):
            await enter(club, "wrong")
    with pytest.raises(AccessDenied, match=r"Too many failed sign-ins. Try again in 15 min.") as denied:
        await enter(club)
    assert (denied.value.status, denied.value.headers["Retry-After"]) == (429, "900")
    club.clock.advance(minutes=15, seconds=1)
    assert (await enter(club)).email == email_of(club)


async def test_successful_sign_ins_do_not_count_against_an_address(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    await create_user(club)
    monkeypatch.setattr(passwords, "verify", lambda password, stored: password == PASSWORD)
    for _ in range(sign_in.MAX_FAILURES_PER_ADDRESS + 1):
        await enter(club)


async def test_one_address_guesses_at_most_fifty_passwords_of_any_users(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "verify", lambda password, stored: False)
    for number in range(sign_in.MAX_FAILURES_PER_ADDRESS):
        with pytest.raises(AccessDenied, match=sign_in.INVALID_CREDENTIALS):
            await enter(club, email=email_of(club, f"user{number}"))
    with pytest.raises(AccessDenied, match="Too many failed sign-ins"):
        await enter(club, email=email_of(club, "another"))


# Sessions ----------------------------------------------------------------------------------------------------


async def test_a_session_has_the_permits_and_limits_of_the_users_role(club: Club) -> None:
    slug = club.community.slug
    role = await create_role(club, NewRole("Shop", ["Location:Read"], [slug], [7, 8]))
    user = await create_user(club, role=role)
    session = await find_session(club, await open_session(club, user))
    principal = session.principal
    assert (session.name, session.email) == ("Ada", email_of(club))
    assert (principal.kind, principal.user_id, principal.user_name) == (PrincipalKind.ORGANIZATION, user.id, "Ada")
    assert (principal.permits, principal.customers, principal.location_ids) == (("Location:Read",), (slug,), (7, 8))


async def test_a_session_ends_after_two_hours_without_a_request_and_after_a_day_with_them(club: Club) -> None:
    secret = await open_session(club, await create_user(club))
    start = club.clock()
    while club.clock() - start < sessions.MAX_LIFETIME - timedelta(hours=1):
        club.clock.advance(minutes=45)
        await find_session(club, secret)
    assert (await find_session(club, secret)).expires_at == start + sessions.MAX_LIFETIME
    club.clock.at = start + sessions.MAX_LIFETIME
    assert await sessions.find(club.database, secret) is None
    club.clock.at = start
    idle = await open_session(club, (await enter(club)))
    club.clock.advance(hours=2)
    assert await sessions.find(club.database, idle) is None


async def test_a_session_that_was_ended_or_never_existed_is_not_found(club: Club) -> None:
    secret = await open_session(club, await create_user(club))
    await sessions.end(club.database, await find_session(club, secret))
    assert await sessions.find(club.database, secret) is None
    assert await sessions.find(club.database, "unknown") is None


async def test_a_new_password_ends_all_sessions(club: Club) -> None:
    user = await create_user(club)
    secrets = [await open_session(club, user) for _ in range(2)]
    async with club.database.organization_transaction(organization(club)) as connection:
        assert await users.set_password(connection, organization(club), user.id, HASH, club.clock())
        assert not await users.set_password(connection, organization(club), 1, HASH, club.clock())
    assert [await sessions.find(club.database, each) for each in secrets] == [None, None]


async def test_the_oldest_session_beyond_the_limit_ends(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS_PER_USER", 2)
    user = await create_user(club)
    opened = []
    for _ in range(3):
        opened.append(await open_session(club, user))
        club.clock.advance(seconds=1)
    assert [await sessions.find(club.database, each) is None for each in opened] == [True, False, False]


async def create_token(club: Club, **options: Any) -> tokens.Token:
    async with club.database.unscoped_connection() as connection:
        new = NewToken(organization(club), "till", ["Reporting:*"], **options)
        secret = await tokens.create(connection, new, club.clock())
        found = await tokens.find_by_secret(connection, secret)
    assert found is not None
    return found


async def test_a_session_of_a_token_ends_with_the_token(club: Club) -> None:
    token = await create_token(club)
    secret = await sessions.create(club.database, organization(club), token_id=token.id)
    session = await find_session(club, secret)
    assert (session.name, session.principal.token_id, session.principal.user_id) == ("till", token.id, None)
    async with club.database.unscoped_connection() as connection:
        assert await tokens.revoke(connection, organization(club), token.id, club.clock())
    assert await sessions.find(club.database, secret) is None


def test_a_form_token_belongs_to_one_session() -> None:
    assert sessions.is_form_token("secret", sessions.form_token("secret"))
    assert not sessions.is_form_token("secret", sessions.form_token("another"))
    assert not sessions.is_form_token("secret", "")


async def test_a_session_of_a_user_who_is_not_active_is_not_found(club: Club) -> None:
    user = await create_user(club)
    secret = await open_session(club, user)
    async with club.database.organization_transaction(organization(club)) as connection:
        await connection.execute("UPDATE users SET deactivated_at = now() WHERE id = $1", user.id)
    assert await sessions.find(club.database, secret) is None
