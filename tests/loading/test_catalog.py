"""What can be loaded: communities, and the fact types with a row schema."""

from __future__ import annotations

import pytest

from clubs import Club
from regulars.loading import catalog, loader

DERIVED = ("members", "purchases")


def test_communities_come_first_and_derived_fact_types_are_left_out() -> None:
    names = catalog.loadable_names()
    assert names[0] == "communities"
    assert not set(DERIVED) & set(names)


@pytest.mark.parametrize("name", [*DERIVED, "teas"])
async def test_what_can_not_be_loaded_has_no_columns_and_no_loader(name: str, club: Club) -> None:
    with pytest.raises(KeyError, match=name):
        catalog.columns_of(name)
    with pytest.raises(KeyError, match=name):
        await loader.load_and_finish(
            club.database, club.server.group_committer, club.community.id, name, lambda: iter(())
        )
