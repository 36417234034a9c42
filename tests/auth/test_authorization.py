"""Every route there is, called with every kind of credential: the registry declares who is let in."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette

from api.profile_calls import create_profile
from clubs import Club
from ingest.provider_client import ec_key, verification_key
from regulars.api.app import create_app
from regulars.api.registry import ENDPOINTS, PAGES
from regulars.auth import permits, tokens
from regulars.auth.authorization import Access, Caller, authorize
from regulars.auth.errors import AccessDenied
from regulars.auth.member_tokens import MemberIdentity, issue
from regulars.auth.principals import Principal, PrincipalKind
from regulars.auth.tokens import NewToken
from regulars.geo.towns.files import TownFiles
from regulars.model import providers
from regulars.model.providers import ProviderConfig
from regulars.web import request_handler
from regulars.web.endpoint import Endpoint
from regulars.web.router import Router

T = TypeVar("T")

EVERY_PERMIT = (*permits.FULL_PROFILE_API, permits.REPORTING)
LET_IN = 0
"""Stands for any status but 401 and 403."""


@dataclass(frozen=True)
class Credential:
    """What a request carries, and what that is: None is nobody's."""

    name: str
    kind: PrincipalKind | None
    headers: Mapping[str, str]
    profile: str
    permits: tuple[str, ...] = ()
    owns_profile: bool = False
    reaches_club: bool = True


def expected(endpoint: Endpoint, credential: Credential) -> int:
    """How a request has to be answered by the endpoint's declaration: 401, 403, or LET_IN."""
    access, kind = endpoint.access, credential.kind
    if access.caller is Caller.PROVIDER:
        return LET_IN if kind is PrincipalKind.PROVIDER and endpoint.path.endswith("/sendgrid") else 401
    if kind in (None, PrincipalKind.ANONYMOUS, PrincipalKind.PROVIDER):
        return 401
    if not permits.has_permit(credential.permits, access.permit):
        return 403
    let_in = {
        Caller.MEMBER: kind is PrincipalKind.MEMBER,
        Caller.REPORTING: kind in (PrincipalKind.ORGANIZATION, PrincipalKind.COMMUNITY) and credential.reaches_club,
        Caller.COMMUNITY: kind is PrincipalKind.COMMUNITY
        or (kind is PrincipalKind.PROFILE and access.subject != "" and credential.owns_profile),
    }
    return LET_IN if let_in[access.caller] else 403


# The declarations ----------------------------------------------------------------------------------------------


def inside(app: Any, kind: type[T]) -> T:
    """The application of a kind, inside what stands around it."""
    while not isinstance(app, kind):
        app = app._app
    return app


def test_every_route_is_declared(club: Club) -> None:
    app = create_app(club.server, run_jobs=False)
    assert inside(app, Router).paths == {endpoint.path for endpoint in ENDPOINTS}
    # There is no other way in; a page that is not among PAGES can't be added.
    assert inside(app, Starlette).routes == []
    assert set(PAGES.values()) == {Access(Caller.ANYONE)}


def test_every_endpoint_declares_a_permit_of_its_api() -> None:
    for endpoint in ENDPOINTS:
        known = {
            Caller.COMMUNITY: tuple(permits.PROFILE_API),
            Caller.MEMBER: permits.MEMBER_PERMITS,
            Caller.REPORTING: permits.REPORTING_API,
            Caller.PROVIDER: ("",),
        }[endpoint.caller]
        assert endpoint.permit in known, (endpoint.method, endpoint.path)
    assert {each.permit for each in ENDPOINTS if each.caller is Caller.COMMUNITY} == set(permits.PROFILE_API)


def test_an_endpoint_is_about_one_profile_where_its_path_begins_with_one() -> None:
    for endpoint in ENDPOINTS:
        about_one = endpoint.caller is Caller.COMMUNITY and "/profiles/{id}" in endpoint.path
        assert endpoint.subject == ("id" if about_one else ""), (endpoint.method, endpoint.path)


def test_reads_need_a_permit_to_read_and_writes_one_to_write() -> None:
    reads_by_post = {
        "/api/v3/profiles/search-id",
        "/api/v3/profiles/availability",
        "/api/v3/profiles/aggregations/query",
    }
    writes_by_get = {"/api/v3/profiles/{id}/transactions/{transaction_id}/unattach"}
    for endpoint in ENDPOINTS:
        if endpoint.caller is Caller.COMMUNITY and endpoint.status != 405:
            reads = endpoint.path in reads_by_post or (endpoint.method == "GET" and endpoint.path not in writes_by_get)
            assert endpoint.permit.endswith(":Read") == reads, (endpoint.method, endpoint.path)


async def test_public_pages_are_read_with_any_token_or_none(club: Club) -> None:
    for path in PAGES:
        for authorization in ("", "Bearer rg_made-up", f"Bearer {club.token}"):
            answer = await club.http.get(path, headers={"Authorization": authorization})
            assert answer.status_code == 200, (path, authorization)


def test_without_a_declared_permit_no_token_is_let_in() -> None:
    token = Principal(PrincipalKind.COMMUNITY, 1, 1, permits=EVERY_PERMIT)
    with pytest.raises(AccessDenied):
        authorize(Access(Caller.COMMUNITY), token, {})


# Every route with every credential -----------------------------------------------------------------------------


class Requests:
    """A club, its server, and credentials of all kinds, each with a profile that its requests are about."""

    def __init__(self, club: Club, other_club: Club) -> None:
        self.club = club
        self.other_club = other_club

    async def token(self, of: Club | None = None, **more: Any) -> str:
        """The secret of a new token of a club's organization."""
        club = of or self.club
        async with club.database.unscoped_connection() as connection:
            new = NewToken(club.community.organization_id, "test", **more)
            return await tokens.create(connection, new, club.clock())

    async def profile(self) -> str:
        """A new profile of the club."""
        return str((await create_profile(self.club))["id"])

    async def bearer(self, name: str, kind: PrincipalKind | None, secret: str, **more: Any) -> Credential:
        """A credential in the Authorization header; its requests are about a profile of its own by default."""
        profile = more.pop("profile", None) or await self.profile()
        return Credential(name, kind, {"Authorization": f"Bearer {secret}"}, profile, **more)

    async def of_nobody(self) -> list[Credential]:
        """What is no credential, or none any more."""
        now, community_id = self.club.clock(), self.club.community.id
        ended = await self.token(community_id=community_id, permits=EVERY_PERMIT, expires_at=now)
        revoked = await self.token(community_id=community_id, permits=EVERY_PERMIT)
        async with self.club.database.unscoped_connection() as connection:
            token = await tokens.find_by_secret(connection, revoked)
            assert token is not None
            await tokens.revoke(connection, token.organization_id, token.id, now)
        mine = await self.profile()
        member = MemberIdentity(community_id, UUID(mine))
        key = await self.club.server.authenticator.member_key()
        old, _ = issue(member, key, now - timedelta(days=1))
        forged, _ = issue(member, b"f" * 32, now)
        secrets = {"unknown": f"rg_{'x' * 43}", "malformed": "rg_made-up", "expired": ended, "revoked": revoked}
        secrets |= {"expired member": old, "forged member": forged}
        return [
            Credential("nothing", PrincipalKind.ANONYMOUS, {"Authorization": ""}, mine),
            *[await self.bearer(name, None, secret, profile=mine) for name, secret in secrets.items()],
        ]

    async def of_communities(self) -> list[Credential]:
        """Tokens of a community: with all permits, with none, with each one alone; and of another organization."""
        found = []
        everything: Mapping[str, tuple[str, ...]] = {"community": EVERY_PERMIT, "no permit": ()}
        alone = {f"only {each}": (each,) for each in (*permits.PROFILE_API, *permits.REPORTING_API)}
        for name, granted in {**everything, **alone}.items():
            secret = await self.token(community_id=self.club.community.id, permits=granted)
            found.append(await self.bearer(name, PrincipalKind.COMMUNITY, secret, permits=granted))
        theirs = await self.token(self.other_club, community_id=self.other_club.community.id, permits=EVERY_PERMIT)
        kind = PrincipalKind.COMMUNITY
        name = "another organization's community"
        found.append(await self.bearer(name, kind, theirs, permits=EVERY_PERMIT, reaches_club=False))
        return found

    async def of_organizations(self) -> list[Credential]:
        """Tokens that are bound to no community."""
        kind = PrincipalKind.ORGANIZATION
        reporting = (permits.REPORTING,)
        ours, everything = await self.token(permits=reporting), await self.token(permits=EVERY_PERMIT)
        theirs = await self.token(self.other_club, permits=EVERY_PERMIT)
        return [
            await self.bearer("reporting only", kind, ours, permits=reporting),
            await self.bearer("organization", kind, everything, permits=EVERY_PERMIT),
            await self.bearer("another organization", kind, theirs, permits=EVERY_PERMIT, reaches_club=False),
        ]

    async def of_profiles(self) -> list[Credential]:
        """Tokens that are bound to one profile, their own and another, and a member's own token."""
        kind, community_id = PrincipalKind.PROFILE, self.club.community.id
        mine, another = await self.profile(), await self.profile()

        async def bound(name: str, profile: str, granted: tuple[str, ...], path: str) -> Credential:
            secret = await self.token(community_id=community_id, profile_id=UUID(profile), permits=granted)
            return await self.bearer(name, kind, secret, profile=path, permits=granted, owns_profile=profile == path)

        upper, reads = await self.profile(), (permits.PROFILE_READ,)
        key = await self.club.server.authenticator.member_key()
        own, _ = issue(MemberIdentity(community_id, UUID(await self.profile())), key, self.club.clock())
        return [
            await bound("bound to another profile", mine, EVERY_PERMIT, another),
            await bound("bound to the profile, reading", mine, reads, mine),
            await bound("bound to the profile", mine, EVERY_PERMIT, mine),
            await self.bearer("member", PrincipalKind.MEMBER, own, permits=permits.MEMBER_PERMITS, profile=upper),
        ]

    def of_provider(self, profile: str) -> Credential:
        """The signature of SendGrid over the body that is sent."""
        timestamp = str(int(self.club.clock().timestamp()))
        signature = ec_key().sign(timestamp.encode() + b"[]", ec.ECDSA(hashes.SHA256()))
        headers = {
            "Authorization": "",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
        return Credential("provider's signature", PrincipalKind.PROVIDER, headers, profile)

    async def status(self, endpoint: Endpoint, credential: Credential) -> int:
        """How an endpoint answers: 401, 403, or LET_IN. What it says is wrong must fit."""
        names = {"community": self.club.community.slug, "entity": "profiles"}
        path = re.sub(r"/profiles/{id}", f"/profiles/{credential.profile}", endpoint.path)
        path = re.sub(r"{(\w+)}", lambda part: names.get(part[1], "1"), path)
        body = b"[]" if endpoint.caller is Caller.PROVIDER else b"{}"
        headers = {"X-Loyalty-Club-Slug": self.club.community.slug, **credential.headers}
        answer = await self.club.http.request(endpoint.method, path, headers=headers, content=body)
        assert answer.status_code < 500, (endpoint.path, credential.name, answer.text)
        if answer.status_code not in (401, 403):
            return LET_IN
        says = answer.json()["error" if endpoint.caller is Caller.REPORTING else "message"]
        if answer.status_code == 401 and endpoint.caller is not Caller.PROVIDER:
            assert answer.headers["www-authenticate"] == "Bearer"
        accepted = credential.kind in endpoint.access.accepted_kinds
        if answer.status_code == 403 and accepted and not permits.has_permit(credential.permits, endpoint.permit):
            assert f"lacks the permit {endpoint.permit}:" in says
        return answer.status_code


def in_order(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """What erases a profile comes last."""
    return sorted(endpoints, key=lambda each: (each.permit == permits.PROFILE_ERASE, each.path.endswith("/purge")))


async def test_every_route_answers_every_credential_as_declared(club: Club, other_club: Club, atlas: TownFiles) -> None:
    club.server.town_files = atlas
    requests = Requests(club, other_club)
    async with club.database.write_transaction(club.community.id) as scope:
        await providers.upsert(scope, ProviderConfig("sendgrid", (verification_key(),)))
    credentials = [
        *await requests.of_nobody(),
        *await requests.of_communities(),
        *await requests.of_organizations(),
        *await requests.of_profiles(),
        requests.of_provider(await requests.profile()),
    ]
    wrong = []
    for credential in credentials:
        for endpoint in in_order(ENDPOINTS):
            status, declared = await requests.status(endpoint, credential), expected(endpoint, credential)
            if status != declared:
                wrong.append((credential.name, endpoint.method, endpoint.path, status, declared))
    assert not wrong


# Tokens that are bound to one profile --------------------------------------------------------------------------


async def bound(club: Club, profile: str, granted: Sequence[str] = permits.FULL_PROFILE_API) -> dict[str, str]:
    """The header of a token that is bound to a profile."""
    secret = await Requests(club, club).token(community_id=club.community.id, profile_id=UUID(profile), permits=granted)
    return {"Authorization": f"Bearer {secret}"}


async def test_the_fast_path_reads_the_token_s_own_profile_only(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, another = str((await create_profile(club))["id"]), str((await create_profile(club))["id"])
    reads, webhooks = await bound(club, mine), await bound(club, mine, [permits.WEBHOOK_READ])
    for _ in range(2):
        # Since the first request the token is known, and the fast path decides.
        assert (await club.http.get(f"/api/v3/profiles/{mine}/aggregations", headers=reads)).status_code == 200
        assert (await club.http.get(f"/api/v3/profiles/{another}/aggregations", headers=reads)).status_code == 403
        assert (await club.http.get(f"/api/v3/profiles/{mine}/aggregations", headers=webhooks)).status_code == 403
        assert (await club.http.get(f"/profiles/{another}/aggregations", headers=reads)).status_code == 403
    answered: list[str] = []
    monkeypatch.setattr(request_handler, "_handle", lambda app, endpoint, request: answered.append(request.url.path))
    assert (await club.http.get(f"/api/v3/profiles/{mine}/aggregations", headers=reads)).status_code == 200
    assert not answered


@pytest.mark.parametrize("spelled", ["{}", "{{{}}}", "urn:uuid:{}"])
@pytest.mark.parametrize("path", ["", "/aggregations", "/addresses"])
async def test_a_profile_id_may_be_spelled_otherwise_and_is_the_same_profile(
    club: Club, spelled: str, path: str
) -> None:
    mine, another = str((await create_profile(club))["id"]), str((await create_profile(club))["id"])
    own = await bound(club, mine)
    for write in (str.upper, lambda text: text.replace("-", "")):
        address = f"/api/v3/profiles/{spelled.format(write(mine))}{path}"
        answer = await club.http.get(address, headers=own)
        assert answer.status_code == 200
        assert path or answer.json()["data"]["id"] == mine
        foreign = f"/api/v3/profiles/{spelled.format(write(another))}{path}"
        assert (await club.http.get(foreign, headers=own)).status_code == 403


async def test_what_is_no_profile_id_is_not_the_own_one(club: Club) -> None:
    own = await bound(club, str((await create_profile(club))["id"]))
    for text in ("me", "0", "external-1", "%00", "kari@example.com"):
        answer = await club.http.get(f"/api/v3/profiles/{text}", headers=own)
        assert answer.status_code in (400, 403, 404), text


async def test_parts_of_another_profile_are_not_reached_by_way_of_the_own_one(club: Club) -> None:
    mine, another = str((await create_profile(club))["id"]), str((await create_profile(club))["id"])
    theirs = f"/api/v3/profiles/{another}"
    address = (await club.http.post(f"{theirs}/addresses", json={"city": "Oslo"})).json()["data"]["id"]
    identity = {"handle": "card", "identifier": "4711"}
    identity_id = (await club.http.post(f"{theirs}/identities", json=identity)).json()["data"]["id"]
    sold = {"name": "Boots", "price_current": 1, "price_sell": 1, "quantity": 1}
    sale = {"items": [sold], "timezone": "UTC", "total": 1, "transacted_at": "2026-10-01", "profile_id": another}
    transaction = (await club.http.post("/api/v3/transactions", json=sale)).json()["data"]["id"]
    own, at = await bound(club, mine), f"/api/v3/profiles/{mine}"
    for method, path in (
        *(("GET", f"/addresses/{address}"), ("PUT", f"/addresses/{address}"), ("DELETE", f"/addresses/{address}")),
        *(("GET", f"/identities/id/{identity_id}"), ("PUT", f"/identities/id/{identity_id}")),
        *(("DELETE", f"/identities/id/{identity_id}"), ("GET", "/identities/card")),
        ("GET", f"/transactions/{transaction}/unattach"),
    ):
        answer = await club.http.request(method, at + path, headers=own, json={})
        assert answer.status_code == 404, (method, path, answer.text)
    for listed in ("addresses", "identities", "transactions", "find-transactions", "transaction-products"):
        for query in ("", f"?filter[profile_id]={another}", f"?filter[id]={address}&include=profile"):
            answer = await club.http.get(f"{at}/{listed}{query}", headers=own)
            assert answer.status_code == 422 or answer.json()["data"] == [], (listed, query)


async def test_a_merged_profile_s_token_does_not_reach_the_survivor(club: Club) -> None:
    source, survivor = str((await create_profile(club))["id"]), str((await create_profile(club))["id"])
    own = await bound(club, source)
    merged = {"source_profile_id": source, "destination_profile_id": survivor}
    assert (await club.http.post("/api/v3/profiles/merge", json=merged, headers=own)).status_code == 403
    assert (await club.http.post("/api/v3/profiles/merge", json=merged)).status_code == 200
    assert (await club.http.get(f"/api/v3/profiles/{source}", headers=own)).status_code == 404
    assert (await club.http.get(f"/api/v3/profiles/{survivor}", headers=own)).status_code == 403


# Permits that a request needs by what it asks for ---------------------------------------------------------------


async def test_profiles_are_included_in_transactions_for_who_may_read_profiles(club: Club) -> None:
    reads = await Requests(club, club).token(community_id=club.community.id, permits=[permits.TRANSACTION_READ])
    headers = {"Authorization": f"Bearer {reads}"}
    assert (await club.http.get("/api/v3/transactions?include=product", headers=headers)).status_code == 200
    answer = await club.http.get("/api/v3/transactions?include=profile", headers=headers)
    assert answer.status_code == 403
    assert permits.PROFILE_READ in answer.json()["message"]


async def test_a_type_that_means_deleted_needs_the_permit_to_erase(club: Club) -> None:
    mine = await create_profile(club, email="kari@example.com")
    secret = await Requests(club, club).token(community_id=club.community.id, permits=[permits.PROFILE_WRITE])
    headers, deleted = {"Authorization": f"Bearer {secret}"}, {"profile_type": "deleted"}
    batch = {"profiles": [{"email": "kari@example.com", **deleted}]}
    path = f"/api/v3/profiles/{mine['id']}"
    for answer in (
        await club.http.put(path, json=deleted, headers=headers),
        await club.http.put(f"{path}/update-type", json=deleted, headers=headers),
        await club.http.post("/api/v3/profiles/batch.json", json=batch, headers=headers),
        await club.http.post("/api/v3/profiles/batch", json=batch, headers=headers),
    ):
        assert answer.status_code == 403
        assert permits.PROFILE_ERASE in answer.json()["message"]
    assert (await club.http.put(path, json={"first_name": "Kari"}, headers=headers)).status_code == 200
    assert (await club.http.put(f"{path}/update-type", json=deleted)).status_code == 200
