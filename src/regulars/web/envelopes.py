"""The envelopes of the Profile API: `{"data"}`, and for a page of a list also `links` and `meta`."""

from typing import Any
from urllib.parse import urlencode

from regulars.web.context import RequestContext

_NEIGHBOUR_PAGES = 3
"""How many pages before and after the current one are linked by their number."""


def data_envelope(value: object) -> dict[str, object]:
    """The envelope of one object."""
    return {"data": value}


def page_envelope(
    context: RequestContext, rows: list[dict[str, Any]], total: int, number: int, size: int
) -> dict[str, object]:
    """The envelope of page `number` of a list of `total` rows."""
    last = max(1, -(-total // size))
    path = context.url
    params = {key: value for key, value in context.query_params.items() if not key.startswith("page[")}

    def url(page: int) -> str | None:
        if not 1 <= page <= last:
            return None
        return f"{path}?{urlencode({**params, 'page[size]': size, 'page[number]': page}, safe='[]')}"

    first_row = (number - 1) * size + 1 if rows else None
    neighbours = range(max(1, number - _NEIGHBOUR_PAGES), min(last, number + _NEIGHBOUR_PAGES) + 1)
    links = [
        ("&laquo; Previous", number - 1),
        *((str(page), page) for page in neighbours),
        ("Next &raquo;", number + 1),
    ]
    return {
        "data": rows,
        "links": {"first": url(1), "last": url(last), "prev": url(number - 1), "next": url(number + 1)},
        "meta": {
            "current_page": number,
            "from": first_row,
            "last_page": last,
            "links": [{"url": url(page), "label": label, "active": label == str(number)} for label, page in links],
            "path": path,
            "per_page": size,
            "to": first_row + len(rows) - 1 if first_row is not None else None,
            "total": total,
        },
    }
