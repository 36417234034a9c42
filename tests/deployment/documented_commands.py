"""Configurations and commands of docs/deployment.md by name, and the programs that check them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "deployment.md"
_BLOCK = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[str]:
    """Returns the blocks with a name, in order."""
    return [content for each, content in _BLOCK.findall(PAGE.read_text()) if each == name]


def block(name: str) -> str:
    """Returns the only block with a name."""
    (content,) = blocks(name)
    return content


def commands(name: str) -> list[str]:
    """Returns the commands of a block without prompts."""
    return [line.removeprefix("$ ") for content in blocks(name) for line in content.splitlines()]


def require_program(name: str, package: str) -> str:
    """Returns the path of a system program. If it is missing, the test is skipped, or fails on CI."""
    found = shutil.which(name)
    if found is None:
        reason = f"there is no {name}: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def run_successfully(*command: str, **environment: str) -> str:
    """Runs a program, which must succeed, and returns its output."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
