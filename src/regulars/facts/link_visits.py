"""Visits of links: who opened which link, that a sending, an offer or anything else led to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core import timestamps, urls, validation
from regulars.core.validation import hash_key

SOURCE_TYPES = ("sending", "offer", "other")
"""What leads to links."""

_Url = Annotated[str, msgspec.Meta(max_length=urls.MAX_URL_LENGTH)] | UnsetType | None


class LinkVisitIn(msgspec.Struct, frozen=True, kw_only=True):
    """A visit as it comes in.

    The link is a `url`, or its parts; where both are given, the parts count. `sending` or `offer` is the external id of
    what led to it, that may come later. `profile` is an external id or a profile's id; `visitor` tells those apart who
    are no profile.
    """

    external_id: validation.Code = UNSET
    at: validation.Text = UNSET
    url: _Url = UNSET
    host: _Url = UNSET
    path: _Url = UNSET
    utm_source: validation.Text = UNSET
    utm_medium: validation.Text = UNSET
    utm_campaign: validation.Text = UNSET
    utm_content: validation.Text = UNSET
    utm_term: validation.Text = UNSET
    sending: validation.Code = UNSET
    offer: validation.Code = UNSET
    profile: validation.Code = UNSET
    visitor: validation.Code = UNSET


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

    event_key: UUID
    visited_at: datetime
    link: Link
    profile: str | None
    visitor_key: UUID | None


def validate(visit: LinkVisitIn, zone: str) -> LinkVisitRow:
    """A visit held to its rules; a time without an offset is of a zone. Raises Refused by path."""
    reading = validation.FieldReader()
    for name in ("external_id", "sending", "offer", "profile", "visitor"):
        reading.read(name, getattr(visit, name), validation.check_code)
    reading.read("at", visit.at, partial(timestamps.parse_in_timezone, zone=zone))
    reading.read("url", visit.url, urls.parse_url)
    reading.read("host", visit.host, urls.normalize_host)
    reading.read("path", visit.path, urls.normalize_path)
    for name in urls.UTM_PARAMETERS:
        reading.read(name, getattr(visit, name), validation.check_text)
    columns = reading.columns
    for name in ("external_id", "at"):
        if columns.get(name) is None:
            reading.errors.setdefault(name, "is required")
    if columns.get("url") is None and columns.get("host") is None and "url" not in reading.errors:
        reading.errors.setdefault("host", "is required, or else a url")
    if columns.get("sending") is not None and columns.get("offer") is not None:
        reading.errors["offer"] = "stands beside a sending: a visit comes from one of them"
    reading.result()
    visitor = columns.get("visitor")
    return LinkVisitRow(
        hash_key(columns["external_id"]),
        columns["at"],
        _link(columns.get("url"), columns),
        columns.get("profile"),
        hash_key(f"visitor {visitor}") if visitor else None,
    )


def _link(url: urls.ParsedUrl | None, columns: Mapping[str, Any]) -> Link:
    """What is given in a column of its own counts before what the URL says."""
    whole = url or urls.ParsedUrl("", "/", (None,) * len(urls.UTM_PARAMETERS))
    sending, offer = columns.get("sending"), columns.get("offer")
    return Link(
        "sending" if sending is not None else "offer" if offer is not None else "other",
        sending or offer,
        columns.get("host") or whole.host,
        columns.get("path") or whole.path,
        tuple(columns.get(name) or said for name, said in zip(urls.UTM_PARAMETERS, whole.utm, strict=True)),
    )
