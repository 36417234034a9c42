"""What members are filtered, grouped and listed by. Nothing in it tells who somebody is."""

from dataclasses import replace

from regulars.aggregations import aggregation
from regulars.aggregations.aggregation import Type
from regulars.aggregations.definitions import REGISTRY
from regulars.reports.report import COMMUNITY_ID, LOYALTY_CLUB_ID, Field, Kind, Value

PLATFORMS = (
    Value("ios", "The iOS app."),
    Value("android", "The Android app."),
    Value("web", "The web."),
    Value("pos", "A point of sale."),
    Value("api", "Another system."),
    Value("import", "An import."),
    Value("other", "A channel that names none of these."),
)
AGES = (
    Value("-14", "Up to 14 years."),
    *(Value(f"{age}-{age + 4}", f"{age} to {age + 4} years.") for age in range(15, 80, 5)),
    Value("80-", "80 years and more."),
)
STATUSES = (
    Value("enabled", "May be sent to."),
    Value("verified", "May be sent to, and the member has confirmed that it is theirs."),
    Value("hard_bounced", "Can't be reached."),
    Value("unsubscribed", "The member has declined."),
    Value("disabled", "Switched off."),
)
CODES = {
    "dimension_frequency": (
        Value("F0", "No sale."),
        Value("F1", "One sale."),
        Value("F2", "Two sales."),
        Value("FL", "Three sales or more, on average above 30 days apart."),
        Value("FH", "Three sales or more, at most 30 days apart."),
    ),
    "dimension_recency": (
        Value("R0", "No sale."),
        Value("RC", "The last sale within 3 months."),
        Value("RS", "Within 6 months."),
        Value("RA", "Within 12 months."),
        Value("RI", "Longer ago."),
    ),
    "channel": (
        Value("CM", "At a point of sale and on the web."),
        Value("CF", "At a point of sale only."),
        Value("CO", "On the web only."),
    ),
    "join_day": tuple(
        Value(day.upper()[:3], f"{day}.")
        for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    ),
}
"""The codes of aggregations that have only so many, in their order; dimension_join has no end."""

# In completed years, five a step: both dates are numbers, such as 20261124.
_AGE_GROUP = f"""CASE WHEN r.birth_date IS NOT NULL
    THEN (ARRAY[{", ".join(f"'{each.name}'" for each in AGES)}])[
        1 + greatest(least(whole($today - r.birth_date, 50000), 16) - 2, 0)
    ] END"""

ID = Field("id", Kind.INTEGER, "ID of the member.", sql="r.member_id")


def _text(name: str, meaning: str, *values: Value) -> Field:
    return Field(name, Kind.STRING, meaning, filterable=True, groups=True, values=values)


def _list(name: str, singular: str, meaning: str) -> Field:
    return Field(name, Kind.INTEGERS, meaning, filterable=True, groups=True, labels=(singular,))


def _reached(by: str, meaning: str) -> Field:
    sql = f"has_element(r.marketing, '{by}')"
    return Field(f"marketing_via_{by}", Kind.BOOLEAN, meaning, sql=sql, filterable=True, groups=True)


FIELDS = (
    ID,
    COMMUNITY_ID,
    replace(LOYALTY_CLUB_ID, shown=False),
    _text("optin_channel", "What the member joined through."),
    _text("optin_subchannel", "What the member joined through, more closely."),
    _text("optin_platform", "The platform of the opt-in channel.", *PLATFORMS),
    _text("gender", "Gender."),
    replace(_text("age", "Age in completed years, on the community's date.", *AGES), sql=_AGE_GROUP),
    Field(
        "birth_year_group",
        Kind.INTEGER,
        "Year of birth in steps of five: 2000 is born 2000 to 2004.",
        sql="whole(r.birth_date, 50000) * 5",
        filterable=True,
        groups=True,
    ),
    _list("subunit_ids", "subunit", "Subunits."),
    _list("group_ids", "group", "Groups."),
    _list("favorite_stores", "favorite_store", "IDs of favorite stores."),
    Field("properties", Kind.OBJECT, "Properties, except those that are personal.", filterable=True),
    Field(
        "consents",
        Kind.FLAGS,
        "Consents by name; what was never asked is not there.",
        filterable=True,
        groups=True,
        flags=("r.consents_true", "r.consents_false"),
    ),
    _reached("sms", "Whether the phone is verified and sms_marketing consented to."),
    _reached("email", "Whether the e-mail is enabled or verified and email_marketing consented to."),
    _reached("push", "Whether push is enabled."),
    _reached("anything", "Whether any of these reaches the member."),
    replace(_text("sms_status", "Status of text messages.", *STATUSES), groups=False),
    replace(_text("email_status", "Status of e-mail.", *STATUSES), groups=False),
    replace(_text("push_status", "Status of push messages.", *STATUSES), groups=False),
    _text("country", "Country, ISO 3166-1 alpha-2."),
    Field("created_at", Kind.TIME, "When the profile was made.", filterable=True),
    Field("updated_at", Kind.TIME, "When the profile was last changed.", filterable=True),
)
"""What a member is."""

_KINDS = {
    Type.MONEY: Kind.MONEY,
    Type.PERCENT: Kind.PERCENT,
    Type.INTEGER: Kind.INTEGER,
    Type.CODE: Kind.STRING,
    Type.COUNTRY_ALPHA_3: Kind.STRING,
    Type.STRING: Kind.STRING,
    Type.DATE: Kind.DATE,
    Type.INSTANT: Kind.TIME,
    Type.LOCATION: Kind.INTEGER,
    Type.LOCATIONS: Kind.INTEGERS,
    Type.STRINGS: Kind.STRINGS,
}


def _value(of: aggregation.Aggregation) -> Field:
    return Field(
        of.name,
        _KINDS[of.type],
        of.meaning,
        filterable=True,
        values=CODES.get(of.name, ()),
        groups=of.type is Type.CODE,
    )


VALUES = tuple(_value(each) for each in REGISTRY.stored)
"""The aggregations of a member, by their own names; locations by their ids."""

FILTERS = tuple(replace(each, name=f"aggregations.{each.name}", sql=f"r.{each.name}", shown=False) for each in VALUES)
"""The same beside what a member is: only asked for, for whoever lists members does not compute them all."""
