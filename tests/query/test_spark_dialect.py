"""Expressions in which Spark differs from the other engines."""

import pytest

from regulars.query.dialects.file_macros import SPARK_FILE_MACROS
from regulars.query.dialects.spark import SparkDialect


@pytest.mark.parametrize(
    ("name", "path"),
    [("size", "$['size']"), ("a.b/c", "$['a.b/c']"), ("it's", '$["it\'s"]')],
)
def test_the_path_of_a_key_quotes_any_name(name: str, path: str) -> None:
    assert SparkDialect().key_parameter(name) == path


def test_the_keys_of_an_object_are_unnested_to_rows() -> None:
    assert SparkDialect().object_keys("r.properties") == "explode(json_object_keys(r.properties))"


def test_the_elements_of_a_list_are_unnested_and_an_empty_list_is_one_row() -> None:
    assert SparkDialect().unnest("r.subunit_ids") == "explode_outer(r.subunit_ids)"


def test_buckets_are_numbered_by_local_day_or_by_preceding_starts() -> None:
    wall = "from_utc_timestamp(b.at, zone)"
    assert " ".join(SPARK_FILE_MACROS["bucket_number"]("b.at", "starts", "step", "zone").split()) == (
        "CASE WHEN step IN ('5m', '1h') THEN size(filter(starts, instant -> instant <= b.at)) "
        f"ELSE unix_date(CAST(CASE step WHEN '1d' THEN date_trunc('day', {wall}) "
        f"WHEN '1w' THEN date_trunc('week', {wall}) ELSE date_trunc('month', {wall}) END AS DATE)) END"
    )
