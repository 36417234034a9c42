"""The settings, the systemd unit and the kernel settings of docs/deployment.md are valid."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from deployment.documented_commands import PAGE, block, commands, require_program, run_successfully
from regulars import settings
from regulars.cli import exposure
from regulars.cli.serve import STOP_TIMEOUT_SECONDS
from regulars.settings import Settings
from regulars.web.public_address import PublicAddress


def environment() -> dict[str, str]:
    """The settings of the page."""
    lines = block("regulars.env").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_settings_exist_and_are_safe() -> None:
    assert settings.unknown_variables(environment()) == []
    found = settings.load(environment(), Path("nowhere"))
    assert list(exposure.findings(found)) == []
    assert PublicAddress(found).configured_url == "https://regulars.example"


def test_every_setting_on_the_page_exists() -> None:
    text = PAGE.read_text()
    named = {f"REGULARS_{name}" for name in re.findall(r"REGULARS_([A-Z_]+)", text)}
    assert settings.unknown_variables(dict.fromkeys(named, "")) == []
    for name in ("public_url", "trusted_proxies", "operations_listen", "operations_token"):
        assert f"`{name}`" in text
        assert name in Settings.__dataclass_fields__


def test_the_proxies_forward_to_the_address_of_the_server() -> None:
    found = settings.load(environment(), Path("nowhere"))
    upstream = f"{found.host}:{found.port}"
    assert f"server {upstream};" in block("nginx.conf")
    assert f"reverse_proxy {upstream}" in block("Caddyfile")
    for content in (block("nginx.conf"), block("Caddyfile")):
        (idle,) = set(re.findall(r"keepalive(?:_timeout)? (2\d)s", content))
        assert int(idle) < found.header_timeout_seconds
    assert f'targets: ["{found.operations_listen}"]' in block("prometheus.yml")


def test_caddy_accepts_the_caddyfile(tmp_path: Path) -> None:
    caddy = require_program("caddy", "caddy")
    (tmp_path / "Caddyfile").write_text(block("Caddyfile"))
    (command,) = (each for each in commands("check") if each.startswith("caddy "))
    _, *arguments = command.replace("/etc/caddy", str(tmp_path)).split()
    assert "Valid configuration" in run_successfully(caddy, *arguments, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path))


def test_systemd_accepts_the_unit_and_waits_for_the_server_to_stop(tmp_path: Path) -> None:
    unit = block("regulars.service")
    found = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    assert int(found["TimeoutStopSec"]) > STOP_TIMEOUT_SECONDS
    assert int(found["LimitNOFILE"]) > Settings().max_connections
    analyze = require_program("systemd-analyze", "systemd")
    server = Path(sys.executable).parent / "regulars"
    (tmp_path / "regulars.service").write_text(unit.replace("/opt/regulars/bin/regulars", str(server)))
    (command,) = (each for each in commands("check") if each.startswith("systemd-analyze "))
    _, *arguments = command.replace("/etc/systemd/system", str(tmp_path)).split()
    said = run_successfully(analyze, *arguments)
    assert "regulars.service" not in said, said


def test_the_kernel_settings_exist() -> None:
    names = re.findall(r"^([a-z0-9_.]+) = \d+$", block("60-regulars.conf"), re.MULTILINE)
    assert len(names) > 5
    if not Path("/proc/sys/net").exists():
        pytest.skip("this system has no /proc/sys")
    for name in names:
        assert Path("/proc/sys", *name.split(".")).exists(), name
