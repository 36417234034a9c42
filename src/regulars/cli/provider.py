"""`regulars provider`: e-mail and SMS providers whose webhooks report events of messages."""

import getpass
import hashlib
import sys
from typing import Annotated

from cyclopts import App, Parameter

from regulars.api.providers import BASE_PATH
from regulars.cli.options import CommonOptions, UsageError, run_with_database
from regulars.cli.progress import format_count, format_table
from regulars.core import timestamps, validation
from regulars.ingest.providers.provider import Provider
from regulars.ingest.providers.registry import PROVIDERS_BY_NAME
from regulars.model import community as communities
from regulars.model import providers
from regulars.model.community import Community
from regulars.model.providers import MAX_FIELD_LENGTH, ProviderConfig
from regulars.model.webhooks import validate_url
from regulars.storage.database import Database

provider = App(
    name="provider",
    help="""Sets up e-mail and SMS providers whose webhooks report deliveries, opens, clicks and failures.

    Example: `regulars provider list`
    """,
)

Name = Annotated[str, Parameter(help=f"Name of the provider: {', '.join(PROVIDERS_BY_NAME)}.")]
Slug = Annotated[str, Parameter(help="Slug of the community.")]


@provider.command(name="set")
def set_(
    name: Name,
    *,
    community: Slug,
    sending_field: Annotated[
        str, Parameter(help="Custom field of a message that contains the sending ID.")
    ] = providers.SENDING_FIELD,
    profile_field: Annotated[
        str, Parameter(help="Custom field of a message that contains the recipient's profile.")
    ] = providers.PROFILE_FIELD,
    dispatch_field: Annotated[
        str, Parameter(help="Custom field of a message that contains the dispatch ID. If absent: the message ID.")
    ] = providers.DISPATCH_FIELD,
    url: Annotated[str | None, Parameter(help="URL that Twilio calls, if it differs from the public URL.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Sets up a provider, or replaces its setup. Its keys are read from standard input, one per line.

    Example: `regulars provider set mailgun --community nord < signing-key.txt`
    """
    vendor = _get_provider(name)
    for option, text in (("sending", sending_field), ("profile", profile_field), ("dispatch", dispatch_field)):
        if not text or len(text) > MAX_FIELD_LENGTH or not text.isprintable():
            raise UsageError(f"--{option}-field must have 1 to {MAX_FIELD_LENGTH} printable characters.")
    setup = ProviderConfig(name, _read_keys(vendor), sending_field, profile_field, dispatch_field, _validate_url(url))

    async def work(database: Database) -> None:
        async with database.unscoped_connection() as connection:
            club = await communities.get_by_slug(connection, community)
        async with database.write_transaction(club.id) as scope:
            await providers.upsert(scope, setup)

    run_with_database(common, work)
    print(
        f"{vendor.title} is set up for {community} with {format_count(len(setup.signing_keys), 'key')}: "
        f"configure {_path(name, community)} as its webhook."
    )
    return 0


def _get_provider(name: str) -> Provider:
    if name not in PROVIDERS_BY_NAME:
        raise UsageError(f"Unknown provider {name!r}. Allowed: {', '.join(PROVIDERS_BY_NAME)}.")
    return PROVIDERS_BY_NAME[name]


def _path(name: str, community: str) -> str:
    return f"{BASE_PATH.format(community=community)}/{name}"


def _validate_url(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        valid = validate_url(validation.check_text(url))
    except ValueError as error:
        raise UsageError(f"--url {error}.") from None
    if "?" in valid:
        raise UsageError("--url must not have a query. The query that Twilio adds is checked separately.")
    return valid


def _read_keys(vendor: Provider) -> tuple[str, ...]:
    """Reads keys from standard input, so that no process list and no shell history shows them."""
    prompt = f"{vendor.title}, {vendor.key_description}: "
    try:
        text = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.read()
    except EOFError:
        text = ""
    except UnicodeDecodeError:
        raise UsageError("The keys on standard input are not text in UTF-8.") from None
    keys = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not keys:
        raise UsageError(f"No key on standard input. {vendor.title} needs {vendor.key_description}.")
    try:
        return tuple(map(vendor.validate_key, keys))
    except ValueError as error:
        raise UsageError(f"The key {error}.") from None


@provider.command(name="list")
def list_(
    *,
    community: Annotated[str | None, Parameter(help="Slug of a community. Default: all.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Lists the providers that are set up. Keys are shown by the first characters of their SHA-256 hash.

    Example: `regulars provider list`
    """

    async def work(database: Database) -> list[tuple[Community, ProviderConfig]]:
        async with database.unscoped_connection() as connection:
            if community is None:
                clubs = await communities.list_all(connection)
            else:
                clubs = [await communities.get_by_slug(connection, community)]
        setups = []
        for club in clubs:
            async with database.read_transaction(club.id) as scope:
                setups += [(club, setup) for setup in await providers.list_all(scope)]
        return setups

    rows = [
        [
            club.slug,
            setup.provider,
            " ".join(hashlib.sha256(key.encode()).hexdigest()[:8] for key in setup.signing_keys),
            " ".join((setup.sending_field, setup.profile_field, setup.dispatch_field)),
            setup.url or _path(setup.provider, club.slug),
            "" if setup.updated_at is None else timestamps.format_timestamp(setup.updated_at),
        ]
        for club, setup in run_with_database(common, work)
    ]
    print(format_table(("community", "provider", "keys", "fields", "webhook", "updated"), rows))
    return 0


@provider.command
def remove(name: Name, *, community: Slug, common: CommonOptions | None = None) -> int:
    """Removes a provider. Its webhooks are rejected; events that it has reported are retained.

    Example: `regulars provider remove mailgun --community nord`
    """

    async def work(database: Database) -> bool:
        async with database.unscoped_connection() as connection:
            club = await communities.get_by_slug(connection, community)
        async with database.write_transaction(club.id) as scope:
            return await providers.delete(scope, name)

    vendor = _get_provider(name)
    if not run_with_database(common, work):
        raise UsageError(f"{vendor.title} is not set up for {community}. `regulars provider list` shows the providers.")
    print(f"{vendor.title} is removed from {community}.")
    return 0
