"""What Spark is told that the other engines are told otherwise."""

import pytest

from regulars.query.lake import Spark


@pytest.mark.parametrize(
    ("name", "path"),
    [("size", "$['size']"), ("a.b/c", "$['a.b/c']"), ("it's", '$["it\'s"]')],
)
def test_a_part_is_a_path_that_takes_its_name_as_it_is(name: str, path: str) -> None:
    assert Spark().part_value(name) == path


def test_the_names_of_an_object_are_a_row_each() -> None:
    assert Spark().keys("r.properties") == "explode(json_object_keys(r.properties))"


def test_the_elements_of_a_list_are_a_row_each_and_none_is_one() -> None:
    assert Spark().elements("r.subunit_ids") == "explode_outer(r.subunit_ids)"
