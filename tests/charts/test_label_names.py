"""The names of what labels identify by ids."""

from __future__ import annotations

from dataclasses import replace

from clubs import Club
from regulars.auth.tenants import Tenant
from regulars.charts.label_names import names_of_labels

TENANT = Tenant(7, 7, 7, 1, "nord", "Nord", "Europe/Oslo", "NOK", 2, {})


async def test_stores_and_communities_in_labels_have_their_names(club: Club) -> None:
    stored = await club.http.post("/api/v3/locations", json={"name": "Oslo City"})
    store = stored.json()["data"]["id"]
    tenant = replace(TENANT, community_id=club.community.id)
    result = {"statistics": [{"label": {"store_id": each}, "values": {}} for each in (store, store + 1, None)]}
    names = await names_of_labels(club.database, [tenant], result)
    assert names == {
        "community_id": {club.community.id: "Nord"},
        "loyalty_club_id": {7: "Nord"},
        "store_id": {store: "Oslo City"},
    }
