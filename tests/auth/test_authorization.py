"""Authorization: every route with every kind of credential behaves as its endpoint declares."""

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
from regulars.auth import organizations, permits, tokens
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

ALL_PERMITS = (*permits.FULL_PROFILE_API, permits.REPORTING, "Admin:*")
ALLOWED = 0
"""Stands for any status other than 401 and 403."""


@dataclass(frozen=True)
class Credential:
    """A credential of a request; `kind` is None for an invalid one."""

    name: str
    kind: PrincipalKind | None
    headers: Mapping[str, str]
    profile: str
    permits: tuple[str, ...] = ()
    owns_profile: bool = False
    has_club_access: bool = True
    about: str = ""
    """The permit that the credential has alone or lacks alone."""


def expected_outcome(endpoint: Endpoint, credential: Credential) -> int:
    """Returns the outcome that the endpoint declares: 401, 403 or ALLOWED."""
    access, kind = endpoint.access, credential.kind
    if access.caller is Caller.PROVIDER:
        return ALLOWED if kind is PrincipalKind.PROVIDER and endpoint.path.endswith("/sendgrid") else 401
    if kind in (None, PrincipalKind.ANONYMOUS, PrincipalKind.PROVIDER):
        return 401
    if not any(permits.has_permit(credential.permits, each) for each in access.permits):
        return 403
    has_report_access = kind in (PrincipalKind.ORGANIZATION, PrincipalKind.COMMUNITY) and credential.has_club_access
    is_allowed = {
        Caller.MEMBER: kind is PrincipalKind.MEMBER,
        Caller.REPORTING: has_report_access,
        Caller.DOWNLOAD: has_report_access,
        Caller.ADMINISTRATION: kind is PrincipalKind.ORGANIZATION,
        Caller.COMMUNITY: kind is PrincipalKind.COMMUNITY
        or (kind is PrincipalKind.PROFILE and access.subject != "" and credential.owns_profile),
    }
    return ALLOWED if is_allowed[access.caller] else 403


# The declarations ----------------------------------------------------------------------------------------------


def unwrap(app: Any, kind: type[T]) -> T:
    """Returns the application of a type from inside its middleware."""
    while not isinstance(app, kind):
        app = app._app
    return app


def test_every_route_is_declared(club: Club) -> None:
    app = create_app(club.server, run_jobs=False)
    assert unwrap(app, Router).routes.paths == {endpoint.path for endpoint in ENDPOINTS}
    # There are no other routes; a page that is not among PAGES can't be added.
    assert unwrap(app, Starlette).routes == []
    assert set(PAGES.values()) == {Access(Caller.ANYONE)}


def test_every_endpoint_declares_a_permit_of_its_api() -> None:
    for endpoint in ENDPOINTS:
        allowed = {
            Caller.COMMUNITY: tuple(permits.PROFILE_API),
            Caller.MEMBER: permits.MEMBER_PERMITS,
            Caller.REPORTING: permits.REPORTING_API,
            Caller.DOWNLOAD: permits.REPORTING_API,
            Caller.ADMINISTRATION: tuple(permits.ADMIN_API),
            Caller.PROVIDER: ("",),
        }[endpoint.caller]
        assert endpoint.permit in allowed, (endpoint.method, endpoint.path)
    of_communities = [each.access.permits for each in ENDPOINTS if each.caller is Caller.COMMUNITY]
    assert {each for several in of_communities for each in several} == set(permits.PROFILE_API)


def test_an_endpoint_below_a_profile_has_this_profile_as_its_subject() -> None:
    for endpoint in ENDPOINTS:
        has_subject = endpoint.caller is Caller.COMMUNITY and "/profiles/{id}" in endpoint.path
        assert endpoint.subject == ("id" if has_subject else ""), (endpoint.method, endpoint.path)


def test_reads_need_a_read_permit_and_writes_do_not() -> None:
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


async def test_public_pages_accept_any_token_or_none(club: Club) -> None:
    for path in PAGES:
        for authorization in ("", "Bearer rg_made-up", f"Bearer {club.token}"):
            answer = await club.http.get(path, headers={"Authorization": authorization})
            assert answer.status_code == 200, (path, authorization)


def test_people_who_are_limited_to_stores_are_denied_what_is_not_limited_to_them() -> None:
    person = Principal(PrincipalKind.COMMUNITY, 1, 1, permits=("*",), user_id=7, location_ids=(3,))
    limited = [endpoint for endpoint in ENDPOINTS if endpoint.is_limited_to_stores]
    for endpoint in ENDPOINTS:
        if endpoint.caller in (Caller.COMMUNITY, Caller.REPORTING, Caller.DOWNLOAD) and endpoint not in limited:
            with pytest.raises(AccessDenied, match="Your role is limited to stores"):
                authorize(endpoint.access, person, {endpoint.subject: str(UUID(int=7))})
    assert {(each.method, each.path) for each in limited} == {
        ("POST", "/v1/reporting/query"),
        ("POST", "/v1/reporting/metadata"),
        ("POST", "/v1/reporting/field_metadata"),
        ("POST", "/v1/reporting/label_names"),
        ("GET", "/v1/reporting/views"),
        ("POST", "/v1/reporting/views"),
        ("DELETE", "/v1/reporting/views/{id}"),
        ("GET", "/api/v3/locations/{id}"),
    }


def test_an_endpoint_without_a_permit_denies_every_token() -> None:
    token = Principal(PrincipalKind.COMMUNITY, 1, 1, permits=ALL_PERMITS)
    with pytest.raises(AccessDenied):
        authorize(Access(Caller.COMMUNITY), token, {})


# Every route with every credential -----------------------------------------------------------------------------


class Requests:
    """Creates credentials of all kinds for a club, each with a profile for its requests, and sends requests."""

    def __init__(self, club: Club, other_club: Club) -> None:
        self.club = club
        self.other_club = other_club

    async def token(self, of: Club | None = None, **more: Any) -> str:
        """Creates a token of a club's organization and returns its secret."""
        club = of or self.club
        async with club.database.unscoped_connection() as connection:
            new = NewToken(club.community.organization_id, "test", **more)
            return await tokens.create(connection, new, club.clock())

    async def profile(self) -> str:
        """Creates a profile of the club and returns its id."""
        return str((await create_profile(self.club))["id"])

    async def bearer(self, name: str, kind: PrincipalKind | None, secret: str, **more: Any) -> Credential:
        """Returns a credential in the Authorization header, by default with a new profile."""
        profile = more.pop("profile", None) or await self.profile()
        return Credential(name, kind, {"Authorization": f"Bearer {secret}"}, profile, **more)

    async def invalid_credentials(self) -> list[Credential]:
        """Returns missing, malformed, expired, revoked and forged credentials."""
        now, community_id = self.club.clock(), self.club.community.id
        ended = await self.token(community_id=community_id, permits=ALL_PERMITS, expires_at=now)
        revoked = await self.token(community_id=community_id, permits=ALL_PERMITS)
        async with self.club.database.unscoped_connection() as connection:
            token = await tokens.find_by_secret(connection, revoked)
            assert token is not None
            await tokens.revoke(connection, token.organization_id, token.id, now)
        own_profile = await self.profile()
        member = MemberIdentity(community_id, UUID(own_profile))
        key = await self.club.server.authenticator.member_key()
        old, _ = issue(member, key, now - timedelta(days=1))
        forged, _ = issue(member, b"f" * 32, now)
        secrets = {"unknown": f"rg_{'x' * 43}", "malformed": "rg_made-up", "expired": ended, "revoked": revoked}
        secrets |= {"expired member": old, "forged member": forged}
        return [
            Credential("nothing", PrincipalKind.ANONYMOUS, {"Authorization": ""}, own_profile),
            *[await self.bearer(name, None, secret, profile=own_profile) for name, secret in secrets.items()],
        ]

    async def community_tokens(self) -> list[Credential]:
        """Returns tokens of a community with all permits, with or without each single one, and of another organization."""
        found = []
        profile = await self.profile()
        single = (*permits.PROFILE_API, *permits.REPORTING_API, *permits.ADMIN_API)
        granted = [("community", ALL_PERMITS, ""), ("no permit", (), "")]
        granted += [(f"only {each}", (each,), each) for each in single]
        granted += [(f"all but {each}", tuple(other for other in single if other != each), each) for each in single]
        for name, several, about in granted:
            secret = await self.token(community_id=self.club.community.id, permits=several)
            # Tokens without a permit are sent to the requests that need it, which change nothing.
            own_profile = profile if name.startswith("all but") else None
            kind = PrincipalKind.COMMUNITY
            found.append(await self.bearer(name, kind, secret, permits=several, about=about, profile=own_profile))
        foreign = await self.token(self.other_club, community_id=self.other_club.community.id, permits=ALL_PERMITS)
        kind = PrincipalKind.COMMUNITY
        name = "another organization's community"
        found.append(await self.bearer(name, kind, foreign, permits=ALL_PERMITS, has_club_access=False))
        return found

    async def organization_tokens(self) -> list[Credential]:
        """Returns tokens that are not bound to a community."""
        kind = PrincipalKind.ORGANIZATION
        reporting = (permits.REPORTING,)
        ours, everything = await self.token(permits=reporting), await self.token(permits=ALL_PERMITS)
        foreign = await self.token(self.other_club, permits=ALL_PERMITS)
        return [
            await self.bearer("reporting only", kind, ours, permits=reporting),
            await self.bearer("organization", kind, everything, permits=ALL_PERMITS),
            await self.bearer("another organization", kind, foreign, permits=ALL_PERMITS, has_club_access=False),
        ]

    async def profile_tokens(self) -> list[Credential]:
        """Returns tokens that are bound to the requested profile or to another, and a member's own token."""
        kind, community_id = PrincipalKind.PROFILE, self.club.community.id
        own_profile, another = await self.profile(), await self.profile()

        async def bound(name: str, profile: str, granted: tuple[str, ...], path: str) -> Credential:
            secret = await self.token(community_id=community_id, profile_id=UUID(profile), permits=granted)
            return await self.bearer(name, kind, secret, profile=path, permits=granted, owns_profile=profile == path)

        upper, reads = await self.profile(), (permits.PROFILE_READ,)
        key = await self.club.server.authenticator.member_key()
        own, _ = issue(MemberIdentity(community_id, UUID(await self.profile())), key, self.club.clock())
        return [
            await bound("bound to another profile", own_profile, ALL_PERMITS, another),
            await bound("bound to the profile, reading", own_profile, reads, own_profile),
            await bound("bound to the profile", own_profile, ALL_PERMITS, own_profile),
            await self.bearer("member", PrincipalKind.MEMBER, own, permits=permits.MEMBER_PERMITS, profile=upper),
        ]

    def provider_signature(self, profile: str) -> Credential:
        """Returns the signature of SendGrid for the body of the requests."""
        timestamp = str(int(self.club.clock().timestamp()))
        signature = ec_key().sign(timestamp.encode() + b"[]", ec.ECDSA(hashes.SHA256()))
        headers = {
            "Authorization": "",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
        return Credential("provider's signature", PrincipalKind.PROVIDER, headers, profile)

    async def status(self, endpoint: Endpoint, credential: Credential) -> int:
        """Sends a request and returns 401, 403 or ALLOWED; checks the message of an error."""
        names = {"community": self.club.community.slug, "entity": "profiles"}
        path = re.sub(r"/profiles/{id}", f"/profiles/{credential.profile}", endpoint.path)
        path = re.sub(r"{(\w+)}", lambda part: names.get(part[1], "1"), path)
        body = b"[]" if endpoint.caller is Caller.PROVIDER else b"{}"
        headers = {"X-Loyalty-Club-Slug": self.club.community.slug, **credential.headers}
        answer = await self.club.http.request(endpoint.method, path, headers=headers, content=body)
        assert answer.status_code < 500, (endpoint.path, credential.name, answer.text)
        if answer.status_code not in (401, 403):
            return ALLOWED
        message = answer.json()["error" if endpoint.path.startswith("/v1/reporting/") else "message"]
        if answer.status_code == 401 and endpoint.caller is not Caller.PROVIDER:
            assert answer.headers["www-authenticate"] == "Bearer"
        accepted = credential.kind in endpoint.access.accepted_kinds
        lacks = not any(permits.has_permit(credential.permits, each) for each in endpoint.access.permits)
        if answer.status_code == 403 and accepted and lacks:
            assert f"lacks the permit {' or '.join(endpoint.access.permits)}." in message
        return answer.status_code


def with_erasure_last(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    return sorted(endpoints, key=lambda each: (each.permit == permits.PROFILE_ERASE, each.path.endswith("/purge")))


async def test_every_route_treats_every_credential_as_declared(
    club: Club, other_club: Club, atlas: TownFiles, request: pytest.FixtureRequest
) -> None:
    """Credentials with a single permit are sent to the routes that need it, in a long run to every route.

    Those without a single permit are sent to the routes that need it.
    """
    is_long = request.config.getoption("--long")
    club.server.town_files = atlas
    requests = Requests(club, other_club)
    async with club.database.unscoped_connection() as connection:
        for each in (club, other_club):
            await organizations.update(connection, each.community.slug, {"reporting_burst": 1_000_000})
    async with club.database.write_transaction(club.community.id) as scope:
        await providers.upsert(scope, ProviderConfig("sendgrid", (verification_key(),)))
    credentials = [
        *await requests.invalid_credentials(),
        *await requests.community_tokens(),
        *await requests.organization_tokens(),
        *await requests.profile_tokens(),
        requests.provider_signature(await requests.profile()),
    ]
    wrong = []
    for credential in credentials:
        for endpoint in with_erasure_last(ENDPOINTS):
            is_about = not credential.about or credential.about in endpoint.access.permits
            if not is_about and (not is_long or credential.name.startswith("all but")):
                continue
            status, declared = await requests.status(endpoint, credential), expected_outcome(endpoint, credential)
            if status != declared:
                wrong.append((credential.name, endpoint.method, endpoint.path, status, declared))
    assert not wrong


# Tokens that are bound to one profile --------------------------------------------------------------------------


async def bound(club: Club, profile: str, granted: Sequence[str] = permits.FULL_PROFILE_API) -> dict[str, str]:
    """Returns the header of a new token that is bound to a profile."""
    secret = await Requests(club, club).token(community_id=club.community.id, profile_id=UUID(profile), permits=granted)
    return {"Authorization": f"Bearer {secret}"}


async def test_the_fast_path_returns_the_profile_of_the_token_only(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    own_profile, another = str((await create_profile(club))["id"]), str((await create_profile(club))["id"])
    reads, webhooks = await bound(club, own_profile), await bound(club, own_profile, [permits.WEBHOOK_READ])
    for _ in range(2):
        # After the first request the token is cached, and the fast path handles the request.
        assert (await club.http.get(f"/api/v3/profiles/{own_profile}/aggregations", headers=reads)).status_code == 200
        assert (await club.http.get(f"/api/v3/profiles/{another}/aggregations", headers=reads)).status_code == 403
        assert (
            await club.http.get(f"/api/v3/profiles/{own_profile}/aggregations", headers=webhooks)
        ).status_code == 403
        assert (await club.http.get(f"/profiles/{another}/aggregations", headers=reads)).status_code == 403
    answered: list[str] = []
    monkeypatch.setattr(request_handler, "_handle", lambda app, endpoint, request: answered.append(request.url.path))
    assert (await club.http.get(f"/api/v3/profiles/{own_profile}/aggregations", headers=reads)).status_code == 200
    assert not answered


@pytest.mark.parametrize("id_format", ["{}", "{{{}}}", "urn:uuid:{}"])
@pytest.mark.parametrize("path", ["", "/aggregations", "/addresses"])
async def test_every_spelling_of_a_uuid_is_the_same_profile(club: Club, id_format: str, path: str) -> None:
    own_profile, another = str((await create_profile(club))["id"]), str((await create_profile(club))["id"])
    own = await bound(club, own_profile)
    for write in (str.upper, lambda text: text.replace("-", "")):
        address = f"/api/v3/profiles/{id_format.format(write(own_profile))}{path}"
        answer = await club.http.get(address, headers=own)
        assert answer.status_code == 200
        assert path or answer.json()["data"]["id"] == own_profile
        foreign = f"/api/v3/profiles/{id_format.format(write(another))}{path}"
        assert (await club.http.get(foreign, headers=own)).status_code == 403


async def test_text_that_is_not_a_uuid_is_not_the_profile_of_the_token(club: Club) -> None:
    own = await bound(club, str((await create_profile(club))["id"]))
    for text in ("me", "0", "external-1", "%00", "kari@example.com"):
        answer = await club.http.get(f"/api/v3/profiles/{text}", headers=own)
        assert answer.status_code in (400, 403, 404), text


async def test_objects_of_another_profile_are_not_accessible_below_the_own_profile(club: Club) -> None:
    own_profile, another = str((await create_profile(club))["id"]), str((await create_profile(club))["id"])
    foreign = f"/api/v3/profiles/{another}"
    address = (await club.http.post(f"{foreign}/addresses", json={"city": "Oslo"})).json()["data"]["id"]
    identity = {"handle": "card", "identifier": "4711"}
    identity_id = (await club.http.post(f"{foreign}/identities", json=identity)).json()["data"]["id"]
    sold = {"name": "Boots", "price_current": 1, "price_sell": 1, "quantity": 1}
    sale = {"items": [sold], "timezone": "UTC", "total": 1, "transacted_at": "2026-10-01", "profile_id": another}
    transaction = (await club.http.post("/api/v3/transactions", json=sale)).json()["data"]["id"]
    own, at = await bound(club, own_profile), f"/api/v3/profiles/{own_profile}"
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
            assert answer.status_code in (404, 422) or answer.json()["data"] == [], (listed, query)


async def test_the_token_of_a_merged_profile_gives_no_access_to_the_target(club: Club) -> None:
    source, target = str((await create_profile(club))["id"]), str((await create_profile(club))["id"])
    own = await bound(club, source)
    merged = {"source_profile_id": source, "destination_profile_id": target}
    assert (await club.http.post("/api/v3/profiles/merge", json=merged, headers=own)).status_code == 403
    assert (await club.http.post("/api/v3/profiles/merge", json=merged)).status_code == 200
    assert (await club.http.get(f"/api/v3/profiles/{source}", headers=own)).status_code == 404
    assert (await club.http.get(f"/api/v3/profiles/{target}", headers=own)).status_code == 403


# Permits that depend on the content of a request ----------------------------------------------------------------


async def test_including_profiles_in_transactions_needs_the_permit_to_read_profiles(club: Club) -> None:
    reads = await Requests(club, club).token(community_id=club.community.id, permits=[permits.TRANSACTION_READ])
    headers = {"Authorization": f"Bearer {reads}"}
    assert (await club.http.get("/api/v3/transactions?include=product", headers=headers)).status_code == 200
    answer = await club.http.get("/api/v3/transactions?include=profile", headers=headers)
    assert answer.status_code == 403
    assert permits.PROFILE_READ in answer.json()["message"]


async def test_setting_the_type_deleted_needs_the_permit_to_erase(club: Club) -> None:
    own_profile = await create_profile(club, email="kari@example.com")
    secret = await Requests(club, club).token(community_id=club.community.id, permits=[permits.PROFILE_WRITE])
    headers, deleted = {"Authorization": f"Bearer {secret}"}, {"profile_type": "deleted"}
    batch = {"profiles": [{"email": "kari@example.com", **deleted}]}
    path = f"/api/v3/profiles/{own_profile['id']}"
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
