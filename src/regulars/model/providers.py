"""Providers of mail and SMS as a community has set them up: how they sign, and how messages name what they are."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from regulars.storage.database import Scope

SENDING_FIELD, PROFILE_FIELD, DISPATCH_FIELD = "regulars_sending", "regulars_profile", "regulars_dispatch"
"""What messages name their sending, recipient and dispatch by, unless another name is set."""

MAX_FIELD_LENGTH = 100
"""Most characters of a name that messages carry."""


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """How a community has set a provider up.

    Any of `keys` is enough to know what is the provider's own. `sending_name`, `profile_name` and `dispatch_name` are
    what its messages name their sending, recipient and dispatch by; `url` is the address that it calls, where that is
    not the one that a request shows.
    """

    provider: str
    keys: tuple[str, ...] = field(repr=False)
    sending_name: str = SENDING_FIELD
    profile_name: str = PROFILE_FIELD
    dispatch_name: str = DISPATCH_FIELD
    url: str | None = None
    updated_at: datetime | None = None


_COLUMNS = "provider, keys, sending_name, profile_name, dispatch_name, url, updated_at"

_PUT = """
INSERT INTO providers (
    community_id, provider, keys, sending_name, profile_name, dispatch_name, url, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
ON CONFLICT (community_id, provider) DO UPDATE
SET keys = excluded.keys,
    sending_name = excluded.sending_name,
    profile_name = excluded.profile_name,
    dispatch_name = excluded.dispatch_name,
    url = excluded.url,
    updated_at = excluded.updated_at
"""


async def upsert(scope: Scope, setup: ProviderConfig) -> None:
    """Sets a provider up, in place of what was set for it before."""
    names = (setup.sending_name, setup.profile_name, setup.dispatch_name)
    await scope.execute(_PUT, scope.community_id, setup.provider, list(setup.keys), *names, setup.url, scope.now)


async def get(scope: Scope, provider: str) -> ProviderConfig | None:
    """How a provider is set up; None where it is not."""
    row = await scope.fetchrow(
        f"SELECT {_COLUMNS} FROM providers WHERE community_id = $1 AND provider = $2", scope.community_id, provider
    )
    return None if row is None else _setup(row)


async def list_all(scope: Scope) -> list[ProviderConfig]:
    """All that are set up, by name."""
    rows = await scope.fetch(
        f"SELECT {_COLUMNS} FROM providers WHERE community_id = $1 ORDER BY provider", scope.community_id
    )
    return [_setup(row) for row in rows]


async def delete(scope: Scope, provider: str) -> bool:
    """Takes a provider and its keys away; gives False where it was not set up."""
    status = await scope.execute(
        "DELETE FROM providers WHERE community_id = $1 AND provider = $2", scope.community_id, provider
    )
    return status == "DELETE 1"


def _setup(row: Any) -> ProviderConfig:
    return ProviderConfig(**{**row, "keys": tuple(row["keys"])})
