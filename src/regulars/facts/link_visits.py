"""Visits of links: who opened which link, that a sending, an offer or anything else led to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.facts import given, instants, urls
from regulars.facts.given import digest

SOURCE_TYPES = ("sending", "offer", "other")
"""What leads to links."""

_Url = Annotated[str, msgspec.Meta(max_length=urls.LONGEST_URL)] | UnsetType | None


class LinkVisitIn(msgspec.Struct, frozen=True, kw_only=True):
    """A visit as it comes in.

    The link is a `url`, or its parts; where both are given, the parts count. `sending` or `offer` is the external id of
    what led to it, that may come later. `profile` is an external id or a profile's id; `visitor` tells those apart who
    are no profile.
    """

    external_id: given.Code = UNSET
    at: given.Text = UNSET
    url: _Url = UNSET
    host: _Url = UNSET
    path: _Url = UNSET
    utm_source: given.Text = UNSET
    utm_medium: given.Text = UNSET
    utm_campaign: given.Text = UNSET
    utm_content: given.Text = UNSET
    utm_term: given.Text = UNSET
    sending: given.Code = UNSET
    offer: given.Code = UNSET
    profile: given.Code = UNSET
    visitor: given.Code = UNSET


@dataclass(frozen=True, slots=True)
class Link:
    """What visits are counted by. `source` is the external id of the sending or offer; `utm` in the order of UTM."""

    source_type: str
    source: str | None
    host: str
    path: str
    utm: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class LinkVisitRow:
    """A visit that was checked. `key` and `visitor` are digests of the ids that it came with."""

    key: UUID
    at: datetime
    link: Link
    profile: str | None
    visitor: UUID | None


def checked(visit: LinkVisitIn, zone: str) -> LinkVisitRow:
    """A visit held to its rules; a time without an offset is of a zone. Raises Refused by path."""
    reading = given.Reading()
    for name in ("external_id", "sending", "offer", "profile", "visitor"):
        reading.read(name, getattr(visit, name), given.code)
    reading.read("at", visit.at, partial(instants.in_zone, zone=zone))
    reading.read("url", visit.url, urls.url)
    reading.read("host", visit.host, urls.host)
    reading.read("path", visit.path, urls.path)
    for name in urls.UTM:
        reading.read(name, getattr(visit, name), given.text)
    columns = reading.columns
    for name in ("external_id", "at"):
        if columns.get(name) is None:
            reading.errors.setdefault(name, "is required")
    if columns.get("url") is None and columns.get("host") is None and "url" not in reading.errors:
        reading.errors.setdefault("host", "is required, or else a url")
    if columns.get("sending") is not None and columns.get("offer") is not None:
        reading.errors["offer"] = "stands beside a sending: a visit comes from one of them"
    reading.done()
    visitor = columns.get("visitor")
    return LinkVisitRow(
        digest(columns["external_id"]),
        columns["at"],
        _link(columns.get("url"), columns),
        columns.get("profile"),
        digest(f"visitor {visitor}") if visitor else None,
    )


def _link(url: urls.Url | None, columns: Mapping[str, Any]) -> Link:
    """What is given in a column of its own counts before what the URL says."""
    whole = url or urls.Url("", "/", (None,) * len(urls.UTM))
    sending, offer = columns.get("sending"), columns.get("offer")
    return Link(
        "sending" if sending is not None else "offer" if offer is not None else "other",
        sending or offer,
        columns.get("host") or whole.host,
        columns.get("path") or whole.path,
        tuple(columns.get(name) or said for name, said in zip(urls.UTM, whole.utm, strict=True)),
    )
