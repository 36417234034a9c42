"""Calls of a client that was generated from the OpenAPI document; test_generated_client.py checks and runs them."""

import io
import sys
import time
from datetime import UTC, datetime

from regulars_client import AuthenticatedClient
from regulars_client.api.aggregations import get_v3_profiles_by_id_aggregations
from regulars_client.api.exports import (
    get_v1_reporting_exports_by_id,
    get_v1_reporting_exports_by_id_file,
    post_v1_reporting_query_export,
)
from regulars_client.api.imports import post_v1_import_by_entity
from regulars_client.api.profiles import get_v3_profiles
from regulars_client.api.reporting import post_v1_reporting_query
from regulars_client.models import (
    AggregationsResponse,
    ExportFormat,
    ExportResponse,
    ExportStatus,
    FilterComparison,
    FilterComparisonType,
    FilterGroup,
    FilterGroupType,
    ImportResult,
    NewExport,
    ProfilePage,
    ReportInterval,
    ReportName,
    ReportQuery,
    ReportRecords,
    ReportTimeseries,
)
from regulars_client.types import File

PROFILES = b"external_id,first_name,joined_at,gender\nm1,Kari,2026-10-01T00:00:00Z,female\n"
TRANSACTIONS = (
    b'{"external_id": "t1", "profile": "m1", "transacted_at": "2026-10-02T10:00:00Z", "total": 12.5, "items": []}\n'
)


def import_rows(client: AuthenticatedClient) -> None:
    """Imports a profile as CSV and a transaction as NDJSON."""
    for entity, file_format, rows in (("profiles", "csv", PROFILES), ("transactions", "ndjson", TRANSACTIONS)):
        file = File(io.BytesIO(rows))
        result = post_v1_import_by_entity.sync(entity, client=client, body=file, format_=file_format)
        assert isinstance(result, ImportResult), result
        assert (result.accepted, result.rejected, result.rejections) == (1, 0, [])


def read_values(client: AuthenticatedClient) -> None:
    """Finds the profile by a filter and reads its values."""
    page = get_v3_profiles.sync(client=client, filterexternal_id="M1")
    assert isinstance(page, ProfilePage), page
    (profile,) = page.data
    assert (profile.first_name, profile.addresses, page.meta.total) == ("Kari", [], 1)
    found = get_v3_profiles_by_id_aggregations.sync(str(profile.id), client=client)
    assert isinstance(found, AggregationsResponse), found
    assert (found.data.spend_all, found.data.shop_count, found.data.store_join) == (12.5, 1, None)


def query_reports(client: AuthenticatedClient) -> None:
    """Queries records with a nested filter, and a timeseries."""
    is_female = FilterComparison(FilterComparisonType.EQUAL, "gender", "female")
    query = ReportQuery(ReportName.MEMBERS, filter_=FilterGroup(FilterGroupType.AND, [is_female]))
    records = post_v1_reporting_query.sync(client=client, body=query, x_customer="all=all")
    assert isinstance(records, ReportRecords), records
    (record,) = records.records
    assert (record["gender"], records.pagination.next_page_info) == ("female", None)
    query = ReportQuery(
        ReportName.MEMBER_BALANCE,
        interval=ReportInterval("1mo"),
        from_="2026-10-01T00:00:00Z",
        to="2026-10-02T00:00:00Z",
    )
    timeseries = post_v1_reporting_query.sync(client=client, body=query, x_customer="all=all")
    assert isinstance(timeseries, ReportTimeseries), timeseries
    assert [(each.label["type"], each.values) for each in timeseries.series] == [("in", [1])]


def export_members(client: AuthenticatedClient) -> None:
    """Exports the members and downloads the file."""
    new = NewExport(ReportName.MEMBERS, ExportFormat.CSV)
    requested = post_v1_reporting_query_export.sync(client=client, body=new, x_customer="all=all")
    assert isinstance(requested, ExportResponse), requested
    assert isinstance(requested.export.requested_at, datetime)
    assert requested.export.requested_at.tzinfo == UTC
    export = requested.export
    while export.status in (ExportStatus.QUEUED, ExportStatus.RUNNING):
        time.sleep(0.05)
        polled = get_v1_reporting_exports_by_id.sync(str(export.id), client=client)
        assert isinstance(polled, ExportResponse), polled
        export = polled.export
    assert (export.status, export.rows) == (ExportStatus.DONE, 1)
    file = get_v1_reporting_exports_by_id_file.sync(str(export.id), client=client)
    assert isinstance(file, File), file
    assert b"female" in file.payload.read()


def main() -> None:
    """Calls the server at the first argument with the tokens of a community and of an organization."""
    url, community_token, reporting_token = sys.argv[1:]
    community = AuthenticatedClient(base_url=url, token=community_token)
    reporting = AuthenticatedClient(base_url=url, token=reporting_token)
    import_rows(community)
    read_values(community)
    query_reports(reporting)
    export_members(reporting)


if __name__ == "__main__":
    main()
