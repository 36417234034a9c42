"""No function, method, class or property of the package is unused."""

from __future__ import annotations

from pathlib import Path

import vulture

from regulars.cli import COMMANDS

ROOT = Path(__file__).parents[2]

CALLED_BY_OTHERS = {
    "__getattr__": "Python, for regulars.compute",
    "retry": "commands, registered by decorators",
    "set_": "commands, registered by decorators",
    "rotate": "commands, registered by decorators",
    "send_test": "commands, registered by decorators",
    "reset_password": "commands, registered by decorators",
    "deactivate": "commands, registered by decorators",
    "do_HEAD": "http.server",
    "version_string": "http.server",
    "log_message": "http.server",
    "handle_error": "socketserver",
    "redirect_request": "urllib",
    "formatter": "the configuration of logging, by its dotted name",
    "take_snapshots": "the job queue, registered by a decorator",
    "get_retry_decision": "the job queue",
    **{path.partition(":")[2]: "the command line, by its path" for path, _ in COMMANDS},
}


def test_everything_is_used() -> None:
    analysis = vulture.Vulture()
    analysis.scavenge([str(ROOT / each) for each in ("src", "tests", "bench", "trust")])
    unused = [
        f"{item.filename.relative_to(ROOT)}:{item.first_lineno}: {item.typ} {item.name}"
        for item in analysis.get_unused_code(min_confidence=60)
        if item.typ in ("function", "method", "class", "property", "import")
        and item.filename.is_relative_to(ROOT / "src")
        and item.name not in CALLED_BY_OTHERS
    ]
    assert unused == []
