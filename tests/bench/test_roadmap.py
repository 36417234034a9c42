"""The roadmap lists the targets that the benchmarks' results miss."""

from __future__ import annotations

from bench import roadmap


def test_the_page_lists_every_missed_target() -> None:
    page = roadmap.ROADMAP.read_text()
    assert roadmap.with_missed_targets(page) == page
    assert "| writes |" in roadmap.missed_targets()
