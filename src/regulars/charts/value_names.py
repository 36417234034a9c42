"""Short names of coded values of fields, such as CF or R0."""

from collections.abc import Mapping
from typing import Any


def translatable(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


_DAYS = {
    "MON": translatable("Monday"),
    "TUE": translatable("Tuesday"),
    "WED": translatable("Wednesday"),
    "THU": translatable("Thursday"),
    "FRI": translatable("Friday"),
    "SAT": translatable("Saturday"),
    "SUN": translatable("Sunday"),
}

VALUE_NAMES: Mapping[str, Mapping[Any, str]] = {
    "type": {"in": translatable("joined"), "out": translatable("left")},
    "channel": {
        "CF": translatable("in stores only"),
        "CO": translatable("on the web only"),
        "CM": translatable("in stores and on the web"),
        "sms": "SMS",
        "email": translatable("e-mail"),
        "push": translatable("push"),
    },
    "dimension_recency": {
        "RC": translatable("within 3 months"),
        "RS": translatable("3 to 6 months ago"),
        "RA": translatable("6 to 12 months ago"),
        "RI": translatable("more than 12 months ago"),
        "R0": translatable("never"),
    },
    "dimension_frequency": {
        "F0": translatable("no purchase"),
        "F1": translatable("one purchase"),
        "F2": translatable("two purchases"),
        "FL": translatable("three or more, rarely"),
        "FH": translatable("three or more, often"),
    },
    "join_day": _DAYS,
    "gender": {"female": translatable("women"), "male": translatable("men"), "other": translatable("other")},
}
"""The name by the value, by the name of the field."""
