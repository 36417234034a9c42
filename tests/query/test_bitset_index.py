"""Lists as bits, statements as plans, snapshots in a line: the parts of a copy by themselves."""

from __future__ import annotations

import pyarrow as pa
import pytest

from regulars.query.replica import bitset_index, member_replica
from regulars.query.replica.bitset_index import MAX_ELEMENTS, BitsetIndex
from regulars.query.replica.columns import ALL_COLUMNS, PROFILE_ID, ReplicaColumn
from regulars.query.replica.member_replica import MemberReplica
from regulars.query.replica.pg_snapshot import PgSnapshot
from regulars.query.replica.rewrite import rewrite

SUBUNITS, GENDER = ALL_COLUMNS["subunit_ids"], ALL_COLUMNS["gender"]


def rows(first: int, lists: list[str | None], *, with_flag: bool = False) -> pa.RecordBatchReader:
    """Rows of members by their numbers, each with a list as JSON."""
    ids = [f"00000000-0000-0000-0000-{number:012}" for number in range(first, first + len(lists))]
    columns = {"profile_id": pa.array(ids), "subunit_ids": pa.array(lists, pa.string())}
    if with_flag:
        columns["is_member"] = pa.array([True] * len(lists))
    return pa.table(columns).to_reader()


def filled(lists: list[str | None]) -> MemberReplica:
    """A table of such members."""
    table = MemberReplica(100)
    table.fill(rows(1, lists), [PROFILE_ID, SUBUNITS])
    return table


def count(table: MemberReplica, condition: str, *values: object) -> int:
    """How many members a condition holds for."""
    ((found,),) = table.fetch(rewrite(f"SELECT count(*) FROM members AS r WHERE {condition}"), values)
    return int(found)


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("list_has_any(r.subunit_ids, CAST($1 AS BIGINT[]))", [[1, 70]], 2),
        ("list_has_any(r.subunit_ids, CAST($1 AS BIGINT[]))", [[99]], 0),
        ("list_has_any(r.subunit_ids, CAST($1 AS BIGINT[]))", [[]], 0),
        ("list_contains(r.subunit_ids, CAST($1 AS BIGINT))", [1], 2),
        ("list_contains(r.subunit_ids, 1)", [], 2),
        ("1 = ANY (r.subunit_ids)", [], 2),
        ("(list_contains(r.subunit_ids, 1)) IS NOT TRUE", [], 2),
        ("list_contains(r.subunit_ids, len(r.subunit_ids))", [], 2),
        ("list_contains(CAST($1 AS BIGINT[]), len(r.subunit_ids))", [[2]], 1),
        ("r.subunit_ids = []", [], 2),
        ("list_contains(r.subunit_ids, $1) AND len(r.subunit_ids) = $2", [1, 2], 1),
        ("list_contains(r.subunit_ids, $1) OR nullif(len(r.subunit_ids), 0) = $2", [1, 2], 2),
        ("nullif(len(r.subunit_ids), 0) = $2 OR nullif(len(r.subunit_ids), 1) = $1", [0, 2], 3),
    ],
)
def test_lists_are_tested_by_bitsets(condition: str, values: list[object], expected: int) -> None:
    assert count(filled(["[1,2]", "[1]", None, "[]"]), condition, *values) == expected


def test_elements_may_need_several_words() -> None:
    table = filled([f"[{number}]" for number in range(100)])
    assert table.bitsets["subunit_ids"].word_count == 2
    assert count(table, "list_has_any(r.subunit_ids, $1)", [0, 99, 100]) == 2
    table.replace_members(rows(500, [f"[{number}, 0]" for number in range(100, 140)], with_flag=True), 1)
    assert table.bitsets["subunit_ids"].word_count == 3
    assert count(table, "list_has_any(r.subunit_ids, $1)", [0]) == 41
    assert count(table, "list_has_any(r.subunit_ids, $1)", [139, 5]) == 2


def test_lists_with_too_many_distinct_elements_are_tested_one_by_one() -> None:
    table = filled([f"[{number}, 7]" for number in range(MAX_ELEMENTS)])
    known = table.bitsets["subunit_ids"]
    assert [known.is_overflowed, known.word_count] == [False, 32]
    table.replace_members(rows(5_000, [f"[{MAX_ELEMENTS}, 7]", f"[{MAX_ELEMENTS + 1}]"], with_flag=True), 1)
    assert [known.is_overflowed, known.word_count] == [True, 32]
    assert count(table, "list_has_any(r.subunit_ids, $1)", [MAX_ELEMENTS, MAX_ELEMENTS + 1, 3]) == 3
    assert count(table, "list_contains(r.subunit_ids, $1)", 7) == MAX_ELEMENTS + 1


def test_an_element_without_a_word_column_matches_no_row() -> None:
    known = BitsetIndex("tags")
    assert known.encode(pa.array(['["a", null]', None])).to_pylist() == [[1], None]
    assert known.overlap_condition(["a"], "r") == "false"


def test_an_empty_change_does_nothing() -> None:
    table = filled(["[1]"])
    table.replace_members(rows(1, [], with_flag=True), 1)
    assert count(table, "r.version = 0") == 1


def test_many_changes_are_compressed_while_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_replica, "_CHANGES_BEFORE_CHECKPOINT", 2)
    table = filled(["[1]"] * 10)
    reading = table._connection.cursor()
    reading.execute("BEGIN; SELECT count(*) FROM community.members")
    table.replace_members(rows(1, ["[2]"] * 5, with_flag=True), 1)
    assert count(table, "list_contains(r.subunit_ids, $1)", 2) == 5
    reading.execute("COMMIT")
    table.replace_members(rows(1, ["[3]"], with_flag=True), 1)
    assert count(table, "list_contains(r.subunit_ids, $1)", 3) == 1


def test_a_table_larger_than_its_memory_is_spilled_to_disk() -> None:
    table = MemberReplica(64)
    for part in range(6):
        texts = [f"{part}-{number}-" + "x" * 200 for number in range(60_000)]
        ids = [f"00000000-0000-{part:04}-0000-{number:012}" for number in range(60_000)]
        columns = {"profile_id": ids, "gender": texts, "is_member": [True] * 60_000}
        if part == 0:
            table.fill(pa.table({key: columns[key] for key in ("profile_id", "gender")}).to_reader(), _COLUMNS)
        else:
            table.replace_members(pa.table(columns).to_reader(), part)
    assert count(table, "starts_with(r.gender, $1)", "5-59999") == 1
    assert count(table, "true") == 360_000
    assert table.memory_bytes < 100_000_000


_COLUMNS: list[ReplicaColumn] = [PROFILE_ID, GENDER]


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [
        ("10:10:", "10:10:", False),
        ("10:12:", "10:10:", True),
        ("10:11:10", "10:10:", False),
        ("10:12:10", "10:10:", True),
        ("10:10:", "9:10:9", True),
        ("9:10:9", "10:10:", False),
        ("9:12:9,10,11", "9:10:9", False),
    ],
)
def test_a_snapshot_is_ahead_of_another_or_not(later: str, earlier: str, expected: bool) -> None:
    assert PgSnapshot.parse(later).is_ahead_of(PgSnapshot.parse(earlier)) is expected


def test_unseen_transactions_start_with_the_oldest_one_in_progress() -> None:
    assert PgSnapshot.parse("5:10:5,7").unseen_condition == (
        "recorded_xid >= '5'::xid8 AND (recorded_xid >= '10'::xid8 "
        "OR recorded_xid = '5'::xid8 OR recorded_xid = '7'::xid8)"
    )


@pytest.mark.parametrize("name", ["json_extract", "json_extract_string"])
def test_keys_of_objects_are_extracted_by_function(name: str) -> None:
    plan = rewrite(f"SELECT 1 FROM members AS r WHERE {name}(r.properties, $1) IS NULL")
    text, bound = plan.render({}, ["/a"])
    assert f"{name}(r.properties, $1) is null" in text.lower()
    assert bound == {"1": "/a"}


def test_tables_other_than_members_are_unchanged() -> None:
    table = filled(["[1]", "[2]"])
    few = "WITH few AS (SELECT 1 AS id) SELECT count(*) FROM members AS r, few"
    assert table.fetch(rewrite(few), []) == [(2,)]


@pytest.mark.parametrize(
    ("statement", "is_counted_on_the_way"),
    [
        ("SELECT count(*) FROM (SELECT * FROM members) AS r WHERE r.gender = 'a' OR r.gender IS NULL", True),
        ("SELECT 7, count(*) AS n FROM members AS r WHERE r.gender = 'a' OR (r.gender = 'b' OR r.gender = 'c')", True),
        ("SELECT count(*) FROM members AS r WHERE r.gender = 'a'", False),
        ("SELECT count(*) FROM members AS r WHERE r.gender = 'a' OR (r.gender <> 'b' AND r.country = 'NO')", False),
        ("SELECT count(*) FROM members AS r WHERE r.gender = 'a' AND (r.gender = 'b' OR r.country = 'NO')", False),
        ("SELECT r.gender, count(*) FROM members AS r WHERE r.gender = 'a' OR r.gender = 'b' GROUP BY 1", False),
        ("SELECT count(*) FROM members AS r WHERE r.gender = 'a' OR r.gender = 'b' HAVING count(*) > 0", False),
        ("SELECT count(*), sum(r.spend_all) FROM members AS r WHERE r.gender = 'a' OR r.gender = 'b'", False),
        ("SELECT r.gender FROM members AS r WHERE r.gender = 'a' OR r.gender = 'b'", False),
        ("SELECT count(*) FROM members", False),
    ],
)
def test_a_count_with_an_or_condition_becomes_count_if(statement: str, is_counted_on_the_way: bool) -> None:
    text, _ = rewrite(statement).render({}, [])
    assert ("COUNT_IF(" in text) == is_counted_on_the_way
    assert ("WHERE" in text) == (" WHERE " in statement and not is_counted_on_the_way)


def test_a_select_of_all_columns_is_unwrapped() -> None:
    text, _ = rewrite("SELECT r.gender FROM (SELECT * FROM members) AS r").render({}, [])
    assert text == "SELECT r.gender FROM community.members AS r"
    for statement in ("SELECT * FROM members", "SELECT r.gender FROM (SELECT gender FROM members) AS r"):
        text, _ = rewrite(statement).render({}, [])
        assert text == statement.replace("members", "community.members")


def test_a_word_uses_all_64_bits() -> None:
    known = BitsetIndex("tags")
    masks = known.encode(pa.array([f"[{number}]" for number in range(bitset_index.WORD_BITS)])).to_pylist()
    assert masks[-1] == [2**63]
