"""`regulars provider`: who may tell by webhooks what became of a community's messages."""

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
    help="""Sets up the providers of mail and SMS that tell by webhooks what became of messages.

    Example: `regulars provider list`
    """,
)

Name = Annotated[str, Parameter(help=f"One of {', '.join(PROVIDERS_BY_NAME)}.")]
Slug = Annotated[str, Parameter(help="Whose messages it sends.")]


def add_to(app: App) -> None:
    """Adds the commands."""
    app.command(provider)


@provider.command(name="set")
def set_(
    name: Name,
    *,
    community: Slug,
    sending_name: Annotated[str, Parameter(help="What messages name their sending by.")] = providers.SENDING_FIELD,
    profile_name: Annotated[str, Parameter(help="Likewise the recipient's profile.")] = providers.PROFILE_FIELD,
    dispatch_name: Annotated[
        str, Parameter(help="Likewise the dispatch, else the message's id.")
    ] = providers.DISPATCH_FIELD,
    url: Annotated[str | None, Parameter(help="The address that Twilio calls, where a proxy hides it.")] = None,
    where: CommonOptions | None = None,
) -> int:
    """Sets a provider up, or anew. Its key is read from standard input; several, a line each, are all taken.

    Example: `regulars provider set mailgun --community nord < signing-key.txt`
    """
    chosen = _chosen(name)
    for option, text in (("sending", sending_name), ("profile", profile_name), ("dispatch", dispatch_name)):
        if not text or len(text) > MAX_FIELD_LENGTH or not text.isprintable():
            raise UsageError(f"--{option}-name must be from 1 to {MAX_FIELD_LENGTH} printable characters.")
    setup = ProviderConfig(name, _keys(chosen), sending_name, profile_name, dispatch_name, _checked_url(url))

    async def work(database: Database) -> None:
        async with database.unscoped_connection() as connection:
            found = await communities.get_by_slug(connection, community)
        async with database.write_transaction(found.id) as scope:
            await providers.upsert(scope, setup)

    run_with_database(where, work)
    print(
        f"{chosen.title} is set up for {community} with {format_count(len(setup.keys), 'key')}: "
        f"have it call {_path(name, community)}."
    )
    return 0


def _chosen(name: str) -> Provider:
    if name not in PROVIDERS_BY_NAME:
        raise UsageError(f"There is no provider {name!r}: there are {', '.join(PROVIDERS_BY_NAME)}.")
    return PROVIDERS_BY_NAME[name]


def _path(name: str, community: str) -> str:
    return f"{BASE_PATH.format(community=community)}/{name}"


def _checked_url(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        checked = validate_url(validation.check_text(url))
    except ValueError as error:
        raise UsageError(f"--url {error}.") from None
    if "?" in checked:
        raise UsageError("--url must be without a query: what Twilio adds to it is looked at by itself.")
    return checked


def _keys(chosen: Provider) -> tuple[str, ...]:
    """The keys that come in, which no list of processes and no shell's history shows."""
    asked = f"{chosen.title}, {chosen.key_description}: "
    text = getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.read()
    keys = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not keys:
        raise UsageError(f"There is no key on standard input: {chosen.title} needs {chosen.key_description}.")
    try:
        return tuple(map(chosen.validate_key, keys))
    except ValueError as error:
        raise UsageError(f"The key {error}.") from None


@provider.command(name="list")
def list_(
    *,
    community: Annotated[str | None, Parameter(help="Only those of this community.")] = None,
    where: CommonOptions | None = None,
) -> int:
    """Lists the providers that are set up, each key by the beginning of its SHA-256.

    Example: `regulars provider list`
    """

    async def work(database: Database) -> list[tuple[Community, ProviderConfig]]:
        async with database.unscoped_connection() as connection:
            every = await communities.list_all(connection)
            chosen = every if community is None else [await communities.get_by_slug(connection, community)]
        found = []
        for each in chosen:
            async with database.read_transaction(each.id) as scope:
                found += [(each, setup) for setup in await providers.list_all(scope)]
        return found

    rows = [
        [
            club.slug,
            setup.provider,
            " ".join(hashlib.sha256(key.encode()).hexdigest()[:8] for key in setup.keys),
            " ".join((setup.sending_name, setup.profile_name, setup.dispatch_name)),
            setup.url or _path(setup.provider, club.slug),
            "" if setup.updated_at is None else timestamps.format_timestamp(setup.updated_at),
        ]
        for club, setup in run_with_database(where, work)
    ]
    print(format_table(("community", "provider", "keys", "named by", "called at", "set"), rows))
    return 0


@provider.command
def remove(name: Name, *, community: Slug, where: CommonOptions | None = None) -> int:
    """Takes a provider's keys away: nothing that it sends is taken any more. What it has told stays.

    Example: `regulars provider remove mailgun --community nord`
    """

    async def work(database: Database) -> bool:
        async with database.unscoped_connection() as connection:
            found = await communities.get_by_slug(connection, community)
        async with database.write_transaction(found.id) as scope:
            return await providers.delete(scope, name)

    chosen = _chosen(name)
    if not run_with_database(where, work):
        raise UsageError(f"{chosen.title} is not set up for {community}: `regulars provider list` shows who is.")
    print(f"{chosen.title} is not taken for {community} any more.")
    return 0
