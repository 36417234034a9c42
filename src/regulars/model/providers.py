"""Configuration of a community's e-mail and SMS providers: their signing keys, and the fields of their payloads."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from regulars.storage.database import Scope

SENDING_FIELD, PROFILE_FIELD, DISPATCH_FIELD = "regulars_sending", "regulars_profile", "regulars_dispatch"
"""Default names of the custom fields that carry the ids of sending, recipient and dispatch."""

MAX_FIELD_LENGTH = 100
"""Most characters of the name of a custom field."""


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A provider as a community has configured it.

    A webhook must be signed by any of `signing_keys`. `sending_field`, `profile_field` and `dispatch_field` name the
    custom fields of messages with the ids of sending, recipient and dispatch. `url` is the address that the provider
    calls, if a proxy hides it from the request.
    """

    provider: str
    signing_keys: tuple[str, ...] = field(repr=False)
    sending_field: str = SENDING_FIELD
    profile_field: str = PROFILE_FIELD
    dispatch_field: str = DISPATCH_FIELD
    url: str | None = None
    updated_at: datetime | None = None


_COLUMNS = "provider, signing_keys, sending_field, profile_field, dispatch_field, url, updated_at"

_UPSERT = """
INSERT INTO providers (
    community_id, provider, signing_keys, sending_field, profile_field, dispatch_field, url, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
ON CONFLICT (community_id, provider) DO UPDATE
SET signing_keys = excluded.signing_keys,
    sending_field = excluded.sending_field,
    profile_field = excluded.profile_field,
    dispatch_field = excluded.dispatch_field,
    url = excluded.url,
    updated_at = excluded.updated_at
"""


async def upsert(scope: Scope, config: ProviderConfig) -> None:
    """Creates or replaces the configuration of a provider."""
    fields = (config.sending_field, config.profile_field, config.dispatch_field)
    await scope.execute(
        _UPSERT, scope.community_id, config.provider, list(config.signing_keys), *fields, config.url, scope.now
    )


async def get(scope: Scope, provider: str) -> ProviderConfig | None:
    """The configuration of a provider; None if there is none."""
    row = await scope.fetchrow(
        f"SELECT {_COLUMNS} FROM providers WHERE community_id = $1 AND provider = $2", scope.community_id, provider
    )
    return None if row is None else _config(row)


async def list_all(scope: Scope) -> list[ProviderConfig]:
    """The configurations of all providers, ordered by name."""
    rows = await scope.fetch(
        f"SELECT {_COLUMNS} FROM providers WHERE community_id = $1 ORDER BY provider", scope.community_id
    )
    return [_config(row) for row in rows]


async def delete(scope: Scope, provider: str) -> bool:
    """Deletes the configuration of a provider with its keys; returns False if there is none."""
    status = await scope.execute(
        "DELETE FROM providers WHERE community_id = $1 AND provider = $2", scope.community_id, provider
    )
    return status == "DELETE 1"


def _config(row: Any) -> ProviderConfig:
    return ProviderConfig(**{**row, "signing_keys": tuple(row["signing_keys"])})
