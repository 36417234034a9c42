"""How many machines so many members need follows from what was measured."""

import pytest
from bench.capacity import Costs

from bench import capacity, result


def test_the_page_has_the_table_of_the_stored_results() -> None:
    page = capacity.PAGE.read_text()
    assert capacity.render_page(page, result.load_results(result.FOLDER)) == page


def test_capacity_follows_from_the_number_of_members() -> None:
    of = Costs(write_in_server=0.001, write_in_postgresql=0.002, read_in_server=0.0002, read_in_postgresql=0.0)
    # 365 million members buy 12 million times a day, 694.4 times in the busiest second.
    members, a_day, peak, here, there, stored, machines, servers = capacity.row(365_000_000, of)
    assert (members, a_day, peak) == ("365,000,000", "12,000,000", "694.4")
    assert (here, there) == ("1.39", "1.39")
    assert (stored, machines, servers) == ("21.1 TB", "1", "6")


@pytest.mark.parametrize("members", capacity.MEMBERS)
def test_every_club_needs_at_least_one_machine_and_one_server(members: int) -> None:
    assert capacity.row(members, Costs(0, 0, 0, 0))[-2:-1] == ("1",)
