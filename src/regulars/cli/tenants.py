"""The tenants and organizations that commands select, and the errors of their requests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from regulars.auth.errors import AccessDenied
from regulars.auth.tenants import Tenant, TenantScope, resolve_tenants
from regulars.cli.options import UsageError, usage_error
from regulars.query.errors import InvalidParametersError
from regulars.query.parser.request import InvalidJsonError
from regulars.storage.database import Database


async def select_tenants(database: Database, customer: str) -> tuple[Tenant, ...]:
    """The tenants that --customer selects among all of them. Raises AccessDenied."""
    async with database.unscoped_connection() as connection:
        return await resolve_tenants(connection, TenantScope(), *_headers(customer))


async def find_organization(connection: Any, name: str) -> int:
    """The id of an organization. Raises UsageError if there is none of that name."""
    found: int | None = await connection.fetchval("SELECT id FROM organizations WHERE name = $1", name)
    if found is None:
        raise UsageError(
            f"Organization {name!r} not found. `regulars organization list` shows the names; `regulars community create` "
            "creates one with its first community."
        )
    return found


def _headers(customer: str) -> tuple[Sequence[str], Sequence[str]]:
    """The values of X-Customer and X-Loyalty-Club-Slug."""
    is_slug = "=" not in customer and not customer.replace("_", "").isdecimal()
    return ([], [customer]) if is_slug else ([customer], [])


@contextmanager
def usage_errors(customer: str) -> Iterator[None]:
    """Raises UsageError for an invalid request body or --customer."""
    try:
        yield
    except AccessDenied as error:
        not_found = f"Customer {customer!r} not found. `regulars community list` shows the communities."
        raise UsageError(not_found if error.status == 403 else error.message) from None
    except InvalidJsonError as error:
        raise UsageError(str(error)) from None
    except InvalidParametersError as error:
        raise usage_error(error) from None
