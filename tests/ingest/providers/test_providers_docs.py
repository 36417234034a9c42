"""The examples and tables of docs/providers.md equal the actual responses and declarations."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clubs import Club
from ingest.provider_client import AUTH_TOKEN, SIGNING_KEY, TOPIC, ProviderClient, verification_key
from query.case_files import RENEW_COMMAND, is_renewing
from regulars.facts.sending_events import EVENT_TYPES
from regulars.ingest.providers.provider import Provider
from regulars.ingest.providers.registry import PROVIDERS
from reports.sending_recount import SendingClub

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "providers.md"
_EXAMPLE = re.compile(r"```(json|bash) (ses|sendgrid|mailgun|twilio)\n(.*?)```\n\n```json answer\n(.*?)```", re.DOTALL)
_SENDINGS = re.compile(r"```ndjson sendings\n(.*?)```", re.DOTALL)
_QUERY = re.compile(r"```json query\n(.*?)```\n\n```json result\n(.*?)```", re.DOTALL)
_ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)


class Page:
    """The page, whose examples are compared with the actual responses, or updated by them."""

    def __init__(self) -> None:
        self.text = PAGE.read_text()

    def check(self, after: str, documented: str, found: Any) -> None:
        """Asserts that the page has a response after some text, or updates it."""
        actual = json.dumps(found, indent=2) + "\n"
        if is_renewing():
            before, _, rest = self.text.partition(after)
            self.text = before + after + rest.replace(documented, actual, 1)
        else:
            assert actual == documented, f"The page differs: {RENEW_COMMAND.replace('query', 'ingest')}"


def words_of(script: str, environment: Mapping[str, str]) -> list[str]:
    """The words that a script prints, each with a NUL behind it."""
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, check=True, env={"PATH": os.defpath, **environment}
    )
    return done.stdout.decode().split("\0")[:-1]


async def by_shell(club: Club, script: str) -> Any:
    """The response to a script of the page, whose curl calls the club, at the club's time."""
    mocks = 'date() { echo "$NOW"; }; curl() { printf "%s\\0" "$@"; }; '
    now = str(int(club.clock().timestamp()))
    words = iter(words_of(mocks + script.replace("/nord/", f"/{club.community.slug}/"), {"NOW": now}))
    url, headers, data = "", {"Authorization": ""}, []
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            data.append(next(words))
        elif word != "-s":
            url = word
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return (await club.http.post(url, content="&".join(data), headers={**form, **headers})).json()


async def test_each_example_of_the_page_has_the_documented_response(
    club: Club, provider_client: ProviderClient
) -> None:
    post, page = SendingClub(club), Page()
    await post.load("profiles", [{"external_id": f"C{number}"} for number in (1, 2, 3)])
    keys = {"ses": TOPIC, "sendgrid": verification_key(), "mailgun": SIGNING_KEY, "twilio": AUTH_TOKEN}
    for name, key in keys.items():
        await provider_client.set_up(name, key)
    sent = _EXAMPLE.findall(page.text)
    assert {name for _, name, _, _ in sent} == set(keys)
    for kind, name, content, answer in sent:
        if kind == "bash":
            found = await by_shell(club, content)
        elif name == "ses":
            found = (await provider_client.sns(provider_client.envelope(content))).json()
        else:
            found = (await provider_client.sendgrid(content.encode())).json()
        page.check(content, answer, found)
    (sendings,) = _SENDINGS.findall(page.text)
    await post.load("sendings", sendings.encode().splitlines())
    ((query, expected),) = _QUERY.findall(page.text)
    body = json.loads(query)
    page.check(query, expected, await post.query(body.pop("report"), **body))
    if is_renewing():
        PAGE.write_text(page.text)


def test_the_table_of_events_equals_the_declarations() -> None:
    rows = {event: cells.split("|") for event, cells in _ROW.findall(PAGE.read_text()) if event in EVENT_TYPES}
    assert list(rows) == [*EVENT_TYPES[:4], *EVENT_TYPES[4:]]
    for column, provider in enumerate(PROVIDERS):
        documented = {kind: event for event, cells in rows.items() for kind in re.findall(r"`([^`]+)`", cells[column])}
        assert documented == dict(provider.event_types), provider.title


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_the_page_names_each_provider_and_its_key(provider: Provider) -> None:
    text = PAGE.read_text()
    assert f"| {provider.title} | `{provider.name}` | {provider.key_description} |" in text
    assert f"\n## {provider.title}\n" in text
    assert set(provider.event_types.values()) <= set(EVENT_TYPES)
