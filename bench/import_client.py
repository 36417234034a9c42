"""Sends a file to the server while it is generated, as a chunked body of any length."""

import http.client
from collections.abc import Iterable
from typing import Any

import msgspec

from bench.environment import BenchClub
from bench.load_generator import LoadError


def upload_import(port: int, club: BenchClub, pieces: Iterable[bytes]) -> dict[str, Any]:
    """Streams rows of transactions to /v1/import; returns the response. Raises LoadError if its status is not 200."""
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
        raise LoadError(f"the import returned {response.status}: {content[:500]!r}")
    summary: dict[str, Any] = msgspec.json.decode(content)
    return summary
