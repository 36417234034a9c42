"""The migrations can be read: numbered, with a sentence above each file and each table, in lines of a readable length."""

from __future__ import annotations

import itertools
import re

import pytest

from regulars.storage.migrate import Migration, list_migrations

each_migration = pytest.mark.parametrize("migration", list_migrations(), ids=lambda migration: migration.name)


def test_they_are_numbered_without_gaps() -> None:
    numbers = [int(each.name.partition(".")[0]) for each in list_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


@each_migration
def test_a_sentence_says_what_the_file_contains(migration: Migration) -> None:
    assert re.match(r"-- [A-Z].*\n", migration.statements.decode())


@each_migration
def test_a_sentence_says_what_each_table_contains(migration: Migration) -> None:
    lines = migration.statements.decode().splitlines()
    without = [line for above, line in itertools.pairwise(lines) if _creates_table(line) and above[:3] != "-- "]
    assert without == []


def _creates_table(line: str) -> bool:
    return re.match(r"CREATE (UNLOGGED )?TABLE ", line) is not None


@each_migration
def test_no_line_is_longer_than_120_characters(migration: Migration) -> None:
    assert [line for line in migration.statements.decode().splitlines() if len(line) > 120] == []
