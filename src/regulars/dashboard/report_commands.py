"""The same request as a link, for curl, for the command line and in Python."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from regulars.auth.tenants import Tenant

_PYTHON = """import json, urllib.request

request = urllib.request.Request(
    "{url}",
    data=json.dumps({body}).encode(),
    headers={{"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json", {header}}},
)
answer = json.load(urllib.request.urlopen(request))"""

_encoder = msgspec.json.Encoder(decimal_format="number")


def commands(origin: str, clubs: Sequence[Tenant], body: Mapping[str, Any]) -> dict[str, str]:
    """How a program makes a request of a report, by the name of the program. `origin` is the address of the server."""
    text = msgspec.json.format(_encoder.encode(body), indent=0).decode()
    name, value = _customer(clubs)
    url = f"{origin}/v1/reporting/query"
    curl = (
        f"curl -s {url} \\\n  -H 'Authorization: Bearer '\"$TOKEN\" \\\n  -H {shlex.quote(f'{name}: {value}')} \\\n"
        f"  -d {shlex.quote(text)}"
    )
    slug = clubs[0].slug if len(clubs) == 1 else value
    python = _PYTHON.format(url=url, body=_python_literal(body), header=f'"{name}": "{value}"')
    return {
        "curl": curl,
        "regulars query": f"regulars query {shlex.quote(text)} --customer {shlex.quote(slug)}",
        "Python": python,
    }


def _customer(clubs: Sequence[Tenant]) -> tuple[str, str]:
    """The header that names the clubs."""
    if len(clubs) == 1:
        return "X-Loyalty-Club-Slug", clubs[0].slug
    return "X-Customer", f"id={'_'.join(str(each) for each in sorted({club.customer_id for club in clubs}))}"


def _python_literal(value: Any) -> str:
    """JSON as an expression of Python."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_python_literal(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_python_literal(each) for each in value)}]"
    return str(value) if not isinstance(value, str | bool | type(None)) else repr(value)
