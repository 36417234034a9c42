"""Explanations of values for callers who may not see personal data: without addresses, and without free text of purchases."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

_decoder = msgspec.json.Decoder(float_hook=Decimal)

_FREE_FIELDS: Mapping[str, Any] = {"tags": [], "meta": None}
"""The fields of transactions and items with what other systems have put there, each with what is shown in its place."""


def without_personal_data(explanation: Mapping[str, Any]) -> dict[str, Any]:
    """The transactions and facts that explain a value, without what may name a member or an address."""
    facts = {name: value for name, value in explanation["facts"].items() if name != "addresses"}
    return {
        **explanation,
        "transactions": [_transaction(each) for each in explanation["transactions"]],
        "facts": facts,
    }


def _transaction(transaction: Mapping[str, Any]) -> dict[str, Any]:
    items = _decoder.decode(transaction["items"])
    return {**transaction, **_FREE_FIELDS, "payments": [], "items": [{**each, **_FREE_FIELDS} for each in items]}
