"""Lists of line items in JSON: the plain form that SQL reads as the server does, and the server's own reading of all others.

DuckDB reads JSON in another way than the server: it takes the first of two equal keys, rounds long numbers, and accepts commas
before a bracket, `NaN`, and values of other types. Lists with any of that, and invalid ones, do not have the plain form.
"""

from collections.abc import Collection
from string import ascii_letters, digits
from typing import Any

import msgspec
import pyarrow as pa

from regulars.core.errors import from_msgspec
from regulars.core.field_type import FieldType
from regulars.core.time_forms import BLANKS
from regulars.model.transactions import line_items
from regulars.model.transactions.line_items import MAX_ITEMS, ItemIn, ItemRow

REJECTED = "rejected for"
"""The key of the list that stands for a rejected one; its value is one of KINDS."""

_TEXT = "a text of at most 255 characters without NUL characters"
_ID = "an integer above 0"
_FORMATS = {
    **dict.fromkeys(("sku", "external_id", "brand"), _TEXT),
    "name": "a text of at most 1,000 characters without NUL characters",
    **dict.fromkeys(("id", "product_id", "product_variant_id"), _ID),
    "quantity": FieldType.QUANTITY.input_format,
    "discounts": FieldType.LINE_ITEMS.input_format,
    **dict.fromkeys(
        ("price_sell", "price_current", "price_original", "price_tax", "discount", "discounts.amount"),
        FieldType.MONEY.input_format,
    ),
    "is_void": "true or false",
    "product_variant": "an object of at most 64 KiB",
    "tags": "a list of at most 64 KiB",
    "meta": "a list or an object of at most 64 KiB",
}
NO_LIST, NO_OBJECTS, TOO_MANY = "no list", "no objects", "too many"
KINDS = {
    NO_LIST: f"transactions.items must be {FieldType.LINE_ITEMS.input_format}",
    NO_OBJECTS: f"transactions.items must be {FieldType.LINE_ITEMS.input_format}",
    TOO_MANY: f"transactions.items must be at most {MAX_ITEMS:,}",
    **{name: f"transactions.items.{name} must be {text}" for name, text in _FORMATS.items()},
}
"""Why a list is rejected, with the message."""

MAX_LENGTHS = {"sku": 255, "external_id": 255, "brand": 255, "name": 1_000}
"""Most characters of the texts of a plain list, which its form does not limit."""


# The plain form ---------------------------------------------------------------------------------------------

_CHARACTER = r'[^"\\{}\x00-\x1f]'
_ESCAPE = (
    r'\\(?:["\\/bfnrt]|u(?:00[2-9a-fA-F][0-9a-fA-F]|0[1-9a-fA-F][0-9a-fA-F]{2}|[1-9a-cA-CeEfF][0-9a-fA-F]{3}'
    r"|[dD][0-7][0-9a-fA-F]{2}))"
)
_STRING = f'"(?:{_CHARACTER}|{_ESCAPE})*"'
_SCALAR = rf"(?:{_STRING}|-?(?:0|[1-9][0-9]{{0,14}})(?:[.][0-9]{{1,15}})?|true|false|null)"
_KEY_CHARACTER = "[A-Za-z0-9_ -]"
_BLANKS = r"[ \t\r\n]*"
_BEFORE_ELEMENT = r"[ \t\r\n,]*"


def _number(most_digits: int) -> str:
    """A number, also as a text, of at most as many digits as a float has without being rounded."""
    number = rf"-?(?:0|[1-9][0-9]{{0,{most_digits - 1}}})(?:[.][0-9]{{1,6}})?"
    return f'{number}|"{number}"'


def _list(element: str) -> str:
    return rf"\[(?:{_BEFORE_ELEMENT}(?:{element}))*{_BLANKS}\]"


def _object(*members: str, required: str = "") -> str:
    any_members = f"(?:{_BEFORE_ELEMENT}(?:{'|'.join(members)}))*"
    after = f"{_BEFORE_ELEMENT}{required}{any_members}" if required else ""
    return rf"\{{{any_members}{after}{_BLANKS}\}}"


def _member(key: str, value: str) -> str:
    return f'"(?:{key})"{_BLANKS}:{_BLANKS}(?:{value})'


def _other_key(names: Collection[str]) -> str:
    """All keys except some: by each beginning of these, what differs from them after it."""
    beginnings = sorted({name[:size] for name in names for size in range(len(name) + 1)})
    keys = []
    for beginning in beginnings:
        following = {each[-1] for each in beginnings if each and each[:-1] == beginning}
        others = "".join(each for each in f"{ascii_letters}{digits}_ -" if each not in following)
        rest = f"[{others}]{_KEY_CHARACTER}*"
        keys.append(f"{beginning}{rest}" if beginning in names else f"{beginning}(?:{rest})?")
    return "|".join(keys)


_DISCOUNT = _object(_member(_other_key({"amount"}), _SCALAR), required=_member("amount", _number(9)))
_FLAT = f"{_SCALAR}|{_list(_SCALAR)}|{_object(f'{_STRING}{_BLANKS}:{_BLANKS}{_SCALAR}')}"
_ITEM = _object(
    _member("sku|external_id|name", f"{_STRING}|-?(?:0|[1-9][0-9]{{0,14}})|null"),
    _member("brand", f"{_STRING}|null"),
    _member("id|product_id|product_variant_id", "[1-9][0-9]{0,14}|null"),
    _member("quantity", f"{_number(7)}|null"),
    _member("price_sell|price_current|price_original|price_tax|discount", f"{_number(9)}|null"),
    _member("discounts", f"{_list(_DISCOUNT)}|null"),
    _member("is_void", "true|false|null"),
    _member("product_variant|tags|meta", "null"),
    _member(_other_key({*ItemIn.__struct_fields__, REJECTED}), _FLAT),
)
PLAIN = f"{_BLANKS}{_list(_ITEM)}{_BLANKS}"
"""The pattern of a list that is plain if it is valid JSON to an engine, which then has each comma that it needs, and if no
key is repeated.
"""

_WITHIN = r"[^{}]*(?:\{[^{}]*\}[^{}]*)*"
REPEATED_KEY = "|".join(
    f'"{name}"{_BLANKS}:{_WITHIN}"{name}"{_BLANKS}:' for name in (*ItemIn.__struct_fields__, "amount")
)
"""The pattern of a field that an object of such a list has twice."""


# The server's reading ---------------------------------------------------------------------------------------

_decoder = msgspec.json.Decoder(tuple[ItemIn, ...], strict=False)


def read_lists(texts: Any) -> Any:
    """The lists in an Arrow array of texts in the plain form; a rejected one is a list with REJECTED."""
    return pa.array([_read(text.strip(BLANKS)) for text in texts.to_pylist()], pa.string())


def _read(text: str) -> str:
    try:
        items = _decoder.decode(text)
    except msgspec.ValidationError as error:
        (path,) = from_msgspec(error).errors
        return rejected(_kind(path) if path else NO_LIST)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return rejected(NO_LIST)
    if len(items) > MAX_ITEMS:
        return rejected(TOO_MANY)
    errors: dict[str, str] = {}
    rows = [line_items.validate(item, "0", errors) for item in items]
    if errors:
        return rejected(_kind(min(errors)))
    return msgspec.json.encode([_line(row) for row in rows]).decode()


def _kind(path: str) -> str:
    """Why a list is rejected, by the path of an error, such as `0.discounts.1.amount`."""
    _, *fields = path.split(".")
    if not fields:
        return NO_OBJECTS
    return "discounts.amount" if fields[0] == "discounts" and len(fields) > 1 else fields[0]


def rejected(kind: str) -> str:
    """The list that stands for a rejected one."""
    return msgspec.json.encode([{REJECTED: kind}]).decode()


def _line(row: ItemRow) -> dict[str, object]:
    prices = {"quantity": row.quantity, "price_sell": row.price_sell, "price_current": row.price_current}
    return {
        "sku": row.sku,
        "brand": row.brand,
        **{name: None if amount is None else f"{amount:f}" for name, amount in prices.items()},
        "discounts": [{"amount": f"{each.amount:f}"} for each in row.discounts],
        "is_void": row.is_void,
    }
