"""The fields of members in reports: filters, groupings and columns, none of which identifies a person."""

from dataclasses import replace

from regulars.aggregations import aggregation
from regulars.aggregations.definitions import REGISTRY
from regulars.core.field_type import FieldType
from regulars.model import member_dimensions
from regulars.model.consents import CHANNEL_STATUSES
from regulars.model.member_dimensions import AGE_GROUP_YEARS, MAX_AGE, MIN_AGE
from regulars.reports.report import COMMUNITY_ID, LOYALTY_CLUB_ID, EnumValue, ReportField, enum_values

PLATFORMS = enum_values(member_dimensions.PLATFORMS)
AGE_GROUPS = enum_values(member_dimensions.AGE_GROUPS)
STATUSES = enum_values(CHANNEL_STATUSES)
AGGREGATION_CODES = {
    each.name: enum_values(each.codes) for each in REGISTRY.aggregations if each.codes and not each.has_more_codes
}
"""The codes of aggregations with a fixed set of codes, in order; dimension_join has no fixed set."""

# Both dates are numbers such as 20261124, so a difference of 10000 is a year.
_AGE_GROUP = f"""CASE WHEN r.birth_date IS NOT NULL
    THEN nth(
        ARRAY[{", ".join(f"'{each.name}'" for each in AGE_GROUPS)}],
        1 + greatest(least(whole($today - r.birth_date, {AGE_GROUP_YEARS * 10000}), {MAX_AGE // AGE_GROUP_YEARS}) - {
    MIN_AGE // AGE_GROUP_YEARS - 1
}, 0)
    ) END"""

MEMBER_ID = ReportField("id", FieldType.INTEGER, "ID of the member.", sql="r.member_id")


def _text(name: str, meaning: str, *values: EnumValue) -> ReportField:
    return ReportField(name, FieldType.STRING, meaning, filterable=True, groupable=True, values=values)


def _list(name: str, singular: str, meaning: str) -> ReportField:
    return ReportField(name, FieldType.INTEGER_LIST, meaning, filterable=True, groupable=True, group_labels=(singular,))


def _reachable(by: str, meaning: str) -> ReportField:
    sql = f"has_element(r.marketing, '{by}')"
    return ReportField(f"marketing_via_{by}", FieldType.BOOLEAN, meaning, sql=sql, filterable=True, groupable=True)


MEMBER_FIELDS = (
    MEMBER_ID,
    COMMUNITY_ID,
    replace(LOYALTY_CLUB_ID, visible=False),
    _text("optin_channel", "The channel through which the member joined."),
    _text("optin_subchannel", "The subchannel through which the member joined."),
    _text("optin_platform", "The platform of the opt-in channel.", *PLATFORMS),
    _text("gender", "Gender."),
    replace(_text("age", "Age in completed years, on the community's date.", *AGE_GROUPS), sql=_AGE_GROUP),
    ReportField(
        "birth_year_group",
        FieldType.INTEGER,
        "First year of a five-year group of birth years: 2000 means 2000 to 2004.",
        sql="whole(r.birth_date, 50000) * 5",
        filterable=True,
        groupable=True,
    ),
    _list("subunit_ids", "subunit", "Subunits."),
    _list("group_ids", "group", "Groups."),
    _list("favorite_stores", "favorite_store", "IDs of favorite stores."),
    ReportField("properties", FieldType.OBJECT, "Properties, except personal ones.", filterable=True),
    ReportField(
        "consents",
        FieldType.FLAGS,
        "Consents by name; a consent that was never recorded is absent.",
        filterable=True,
        groupable=True,
        flag_columns=("r.consents_true", "r.consents_false"),
    ),
    _reachable("sms", "Whether the member can be reached by SMS: the phone is verified and sms_marketing is granted."),
    _reachable(
        "email",
        "Whether the member can be reached by e-mail: it is enabled or verified and email_marketing is granted.",
    ),
    _reachable("push", "Whether the member can be reached by push messages: push is enabled."),
    _reachable("anything", "Whether the member can be reached by any of these."),
    replace(_text("sms_status", "Status of SMS.", *STATUSES), groupable=False),
    replace(_text("email_status", "Status of e-mail.", *STATUSES), groupable=False),
    replace(_text("push_status", "Status of push messages.", *STATUSES), groupable=False),
    _text("country", "Country, ISO 3166-1 alpha-2."),
    ReportField("created_at", FieldType.TIMESTAMP, "When the profile was created.", filterable=True),
    ReportField("updated_at", FieldType.TIMESTAMP, "When the profile was last updated.", filterable=True),
)
"""The fields of a member."""

_REPORTED_TYPES = {
    FieldType.ENUM: FieldType.STRING,
    FieldType.COUNTRY_ALPHA_3: FieldType.STRING,
    FieldType.LOCATION: FieldType.INTEGER,
    FieldType.LOCATION_LIST: FieldType.INTEGER_LIST,
}
"""The types of aggregations in reports, where they differ: reports have the ids of locations."""


def _value(of: aggregation.Aggregation) -> ReportField:
    return ReportField(
        of.name,
        _REPORTED_TYPES.get(of.type, of.type),
        of.description,
        filterable=True,
        values=AGGREGATION_CODES.get(of.name, ()),
        groupable=of.type is FieldType.ENUM,
    )


AGGREGATION_FIELDS = tuple(_value(each) for each in REGISTRY.stored)
"""The aggregations of a member, by their own names; locations by their ids."""

AGGREGATION_FILTERS = tuple(
    replace(each, name=f"aggregations.{each.name}", sql=f"r.{each.name}", visible=False) for each in AGGREGATION_FIELDS
)
"""Aggregations as filters of member reports; they are not columns, so listing members does not compute all of them."""
