"""Sends a file to the server as it is made: a chunked body of any length."""

import http.client
from collections.abc import Iterable
from typing import Any

import msgspec

from bench.environment import BenchClub
from bench.load_generator import LoadError


def upload_import(port: int, club: BenchClub, pieces: Iterable[bytes]) -> dict[str, Any]:
    """Streams rows of transactions to /v1/import; gives the answer. Raises LoadError for any that is no success."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=7200)
    try:
        connection.request(
            "POST",
            "/v1/import/transactions",
            body=iter(pieces),
            headers={"Authorization": f"Bearer {club.token}", "Content-Type": "application/x-ndjson"},
            encode_chunked=True,
        )
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise LoadError(f"the import was answered by {response.status}: {content[:500]!r}")
    body: dict[str, Any] = msgspec.json.decode(content)
    return body
