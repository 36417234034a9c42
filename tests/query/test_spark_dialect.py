"""What Spark is told that the other engines are told otherwise."""

import pytest

from regulars.query.dialects.spark import SPARK_FILE_MACROS, SparkDialect


@pytest.mark.parametrize(
    ("name", "path"),
    [("size", "$['size']"), ("a.b/c", "$['a.b/c']"), ("it's", '$["it\'s"]')],
)
def test_a_part_is_a_path_that_takes_its_name_as_it_is(name: str, path: str) -> None:
    assert SparkDialect().key_parameter(name) == path


def test_the_names_of_an_object_are_a_row_each() -> None:
    assert SparkDialect().object_keys("r.properties") == "explode(json_object_keys(r.properties))"


def test_the_elements_of_a_list_are_a_row_each_and_none_is_one() -> None:
    assert SparkDialect().unnest("r.subunit_ids") == "explode_outer(r.subunit_ids)"


def test_a_bucket_is_numbered_by_its_day_on_the_clock_and_one_of_minutes_or_an_hour_by_the_starts_before_it() -> None:
    wall = "from_utc_timestamp(b.at, zone)"
    assert " ".join(SPARK_FILE_MACROS["bucket_number"]("b.at", "starts", "step", "zone").split()) == (
        "CASE WHEN step IN ('5m', '1h') THEN size(filter(starts, instant -> instant <= b.at)) "
        f"ELSE unix_date(CAST(CASE step WHEN '1d' THEN date_trunc('day', {wall}) "
        f"WHEN '1w' THEN date_trunc('week', {wall}) ELSE date_trunc('month', {wall}) END AS DATE)) END"
    )
