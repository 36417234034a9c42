"""What doctor says of addresses that others reach, and who gets at the pages of operations."""

from __future__ import annotations

from typing import Any

import pytest

from cli.conftest import Command
from regulars.cli import exposure
from regulars.settings import Settings

PUBLIC = {"host": "0.0.0.0", "public_url": "https://club.example"}  # noqa: S104
TOKEN = "a-token-of-32-random-characters!"


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, []),
        ({"host": "::1"}, []),
        ({"host": "localhost"}, []),
        ({"host": "10.0.0.5"}, ["REGULARS_PUBLIC_URL is not set", "/metrics and /api/docs are accessible"]),
        ({"host": "regulars.internal"}, ["REGULARS_PUBLIC_URL is not set", "/metrics and /api/docs are accessible"]),
        (PUBLIC, ["/metrics and /api/docs are accessible to anyone who can reach 0.0.0.0:8080"]),
        ({**PUBLIC, "operations_token": TOKEN}, []),
        ({**PUBLIC, "operations_token": "short"}, ["REGULARS_OPERATIONS_TOKEN is too short"]),
        ({**PUBLIC, "operations_listen": "127.0.0.1:9090"}, []),
        ({**PUBLIC, "operations_listen": "[::1]:9090"}, []),
        ({**PUBLIC, "operations_listen": "10.0.0.5:9090"}, ["accessible to anyone who can reach 10.0.0.5:9090"]),
        ({**PUBLIC, "operations_listen": "10.0.0.5:9090", "operations_token": TOKEN}, []),
        ({**PUBLIC, "operations_token": TOKEN, "public_url": "http://club.example"}, ["is not https"]),
        ({"trusted_proxies": "10.0.0.0/8, 192.168.1.4, fd00::/48"}, []),
        ({"trusted_proxies": "0.0.0.0/0"}, ["REGULARS_TRUSTED_PROXIES has 0.0.0.0/0"]),
    ],
)
def test_exposed_pages_are_found(settings: dict[str, Any], found: list[str]) -> None:
    findings = list(exposure.findings(Settings(**settings)))
    assert len(findings) == len(found)
    for text, expected in zip(findings, found, strict=True):
        assert expected in text


def test_doctor_reports_exposed_pages_and_shows_no_token(
    command: Command, folder_of_a_server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_DATA_DIR", f"{folder_of_a_server}/data")
    monkeypatch.setenv("REGULARS_HOST", "0.0.0.0")  # noqa: S104
    monkeypatch.setenv("REGULARS_OPERATIONS_TOKEN", "secret")
    done = command("doctor")
    assert done.code == 0
    assert "note: REGULARS_HOST is 0.0.0.0 and REGULARS_PUBLIC_URL is not set" in done.out
    assert "note: REGULARS_OPERATIONS_TOKEN is too short" in done.out
    assert " secret " not in done.out
    monkeypatch.setenv("REGULARS_TRUSTED_PROXIES", "proxy.example")
    done = command("doctor")
    assert (done.code, "FATAL: trusted_proxies is 'proxy.example'" in done.out) == (1, True)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PUBLIC_URL", "club.example", "public_url is 'club.example'"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "trusted_proxies is '10.0.0.1/8'"),
        ("OPERATIONS_LISTEN", "9090", "operations_listen is '9090'"),
        ("OPERATIONS_LISTEN", "127.0.0.1:http", "operations_listen is '127.0.0.1:http'"),
        ("OPERATIONS_LISTEN", "127.0.0.1:70000", "operations_listen is '127.0.0.1:70000'"),
        ("OPERATIONS_LISTEN", "192.0.2.1:9090", "192.0.2.1:9090 is not available"),
    ],
)
def test_serve_refuses_invalid_addresses(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"REGULARS_{name}", value)
    done = command("serve", "--port", "0")
    assert (done.code, says in done.err) == (2, True)
