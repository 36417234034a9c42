"""`regulars segment`: definitions, counts, members and explanations from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from cli.conftest import Command

WOMEN = '{"type": "equal", "field": "gender", "value": "female"}'


@pytest.fixture
def members(command: Command, slug: str, tmp_path: Path) -> str:
    """A community with a woman and a man."""
    lines = [
        {"external_id": "K1", "gender": "female", "joined_at": "2026-01-01T00:00:00Z"},
        {"external_id": "K2", "gender": "male", "joined_at": "2026-01-02T00:00:00Z"},
    ]
    (tmp_path / "profiles.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    loaded = command("load", "profiles", "profiles.ndjson", "--community", slug)
    assert loaded.code == 0, loaded.err
    return slug


def test_a_segment_from_its_creation_to_its_deletion(command: Command, members: str) -> None:
    def run(*arguments: str) -> str:
        result = command("segment", *arguments, "--community", members)
        assert result.code == 0, result.err
        return result.out

    assert (
        run("create", "women", WOMEN, "--description", "All women.") == "Segment women is created. It has 1 member.\n"
    )
    Path("men.json").write_text(WOMEN.replace("female", "male"))
    assert run("create", "men", "men.json") == "Segment men is created. It has 1 member.\n"
    others = '{"type": "not", "operation": {"type": "in_segment", "segment": "women"}}'
    assert run("create", "others", others) == "Segment others is created. It has 1 member.\n"
    header, *rows = run("list").splitlines()
    assert header.split() == ["name", "state", "version", "known", "since", "description"]
    assert [row.split()[:3] for row in rows] == [
        ["men", "active", "1"],
        ["others", "active", "1"],
        ["women", "active", "1"],
    ]
    assert run("count", "women") == "1\n"
    (woman,) = run("members", "women").split()
    (man,) = run("members", "others").split()
    assert run("explain", "others", man).splitlines() == [
        f"Member {man} is in others.",
        "yes not",
        "    no  in_segment women",
        '        no  gender equal "female", is "male"',
    ]
    assert run("explain", "others", woman).splitlines()[0] == f"Member {woman} is not in others."
    assert run("update", "women", "men.json") == "Segment women is changed. It has 1 member.\n"
    shown = json.loads(run("show", "women"))
    assert [each["version"] for each in shown["versions"]] == [2, 1]
    since = shown["known_since"]
    assert run("count", "women", "--at", since) == "1\n"
    assert run("members", "women", "--at", since).split() == [man]
    filter_ = {"type": "in_segment", "segment": "women"}
    queried = command(
        "query", json.dumps({"report": "members", "filter": filter_}), "--customer", members, "-o", "json"
    )
    assert [each["id"] for each in json.loads(queried.out)["records"]] == [int(man)]
    run("delete", "others")
    run("delete", "women")
    assert len(run("list").splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "Women", WOMEN), "name: Must be lower-case letters"),
        (("create", "women", "{"), "The filter is not valid JSON"),
        (("create", "women", "missing.json"), "neither JSON nor a file"),
        (("create", "women", '{"type": "equal", "field": "hair", "value": 1}'), "filter.field: Unknown field 'hair'"),
        (("count", "women"), "There is no segment 'women'."),
        (("members", "women", "--limit", "0"), "--limit is 0. Allowed: 1 to 10000."),
        (("count", "women", "--at", "yesterday"), "--at is 'yesterday'."),
        (("delete", "women"), "There is no segment 'women'."),
    ],
)
def test_invalid_calls(command: Command, slug: str, arguments: tuple[str, ...], message: str) -> None:
    result = command("segment", *arguments, "--community", slug)
    assert result.code == 2
    assert message in result.err


def test_a_member_is_named_by_an_id(command: Command, slug: str) -> None:
    assert command("segment", "create", "women", WOMEN, "--community", slug).code == 0
    result = command("segment", "explain", "women", "Kari", "--community", slug)
    assert result.code == 2
    assert "neither the id of a member, such as 17, nor that of a profile" in result.err
    assert command("segment", "list", "--community", "all=all").code == 2
    result = command("segment", "explain", "women", "99999999999999999999", "--community", slug)
    assert (result.code, "neither the id of a member" in result.err) == (2, True)


def test_the_next_page_is_named_apart_from_the_members(command: Command, members: str) -> None:
    everyone = '{"type": "not", "operation": {"type": "equal", "field": "gender", "value": "other"}}'
    assert command("segment", "create", "everyone", everyone, "--community", members).code == 0
    first = command("segment", "members", "everyone", "--community", members, "--limit", "1")
    assert len(first.out.split()) == 1
    assert first.err.startswith("There are more members. For the next page add --page ")
    page = first.err.split()[-1]
    second = command("segment", "members", "everyone", "--community", members, "--limit", "1", "--page", page)
    assert (len(second.out.split()), second.err) == (1, "")
    assert second.out != first.out


def test_a_segment_that_cant_be_evaluated_is_noted(
    command: Command, members: str, command_urls: tuple[str, str]
) -> None:
    assert command("segment", "create", "women", WOMEN, "--community", members).code == 0
    with psycopg.connect(command_urls[0], autocommit=True) as owner:
        # As if a release had removed the field. The new version makes the processes read the filters again.
        owner.execute(
            b"""
            WITH club AS (
                UPDATE communities SET segments_version = gen_random_uuid() WHERE slug = %s RETURNING id
            )
            UPDATE segment_versions
            SET filter = '{"type": "equal", "field": "shoe_size", "value": 44}'
            WHERE community_id = (SELECT id FROM club)
            """,
            [members],
        )
    noted = command("doctor").out
    assert (
        f"note: Segment 'women' of {members} can't be evaluated, so no member enters or leaves it: filter.field: Unknown "
        f"field 'shoe_size'"
    ) in noted
