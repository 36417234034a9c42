"""Declares what happens to each column of each table when a member is erased.

A purge leaves no row of the profile. Depersonalising retains the rows that values and counts are computed from, without
anything that identifies the member. `model.erasure` deletes and clears data by this declaration. A test compares it
with the catalogue, and fails for an undeclared column and for data of an erased member that has no declared reason.
"""

from collections.abc import Iterator, Mapping

from regulars.storage.table_erasure import TableErasure

_PROFILE = "profile_id = ANY ($2)"
# Two partial indexes cover the transactions of a profile: effective and void ones.
_BUYER = "(profile_id = ANY ($2) AND NOT is_void OR profile_id = ANY ($2) AND is_void)"
_TRANSACTION = f"transaction_id = ANY (ARRAY(SELECT id FROM transactions WHERE community_id = $1 AND {_BUYER}))"
_MEMBER = "member_id IN (SELECT member_id FROM profiles WHERE community_id = $1 AND profile_id = ANY ($2))"
_VISITOR = "visitor_no IN (SELECT visitor_no FROM link_visitors WHERE community_id = $1 AND visitor_hash = ANY ($2))"
_DISPATCH = "dispatch_id IN (SELECT id FROM sending_dispatches WHERE community_id = $1 AND profile_id = ANY ($2))"

_COUNTED = "Counts of members are computed from it, without a name."
_VALUES = "Values of the profile are computed from it."
_CATEGORIES = "A count of members; contains no data of a single member."
_NUMBERS = "A number of events or purchases; contains no data of a single member."
_DIGEST = "A hash of an id of another system, so that a repeated row is not counted twice."

FACTS = (
    TableErasure(
        "profiles",
        _PROFILE,
        deleted_by="model.erasure",
        blanked_columns=dict.fromkeys(
            (
                "external_id", "title", "first_name", "last_name", "email", "email_normalized", "mobile_phone",
                "mobile_phone_e164", "birth_day", "birth_month", "properties", "attributes", "tags", "statuses", "custom_fields",
            ),
            "",
        ),
        retained={
            "profile_id member_id created_at updated_at merged_into deleted_at": "The profile stays, without a name.",
            "profile_type gender birth_year currency joined_at joined_location_id preferred_location_id optin_channel "
            "optin_subchannel consents sms_status email_status push_status subunit_ids group_ids favorite_stores "
            "phone_country": _COUNTED,
        },
    ),
    TableErasure("profile_name_words", _PROFILE, erased_columns="word other_word profile_id"),
    TableErasure("identities", _PROFILE, erased_columns="id profile_id handle identifier extra created_at updated_at"),
    TableErasure(
        "addresses",
        _PROFILE,
        blanked_columns={
            "fields": """
            jsonb_strip_nulls(jsonb_build_object(
                'iso', fields -> 'iso',
                'country', fields -> 'country',
                'country_iso_3', fields -> 'country_iso_3',
                'iso_state', fields -> 'iso_state',
                'state', fields -> 'state'
            ))
            """
        },
        retained={"profile_id id is_default country iso_state state created_at updated_at": _VALUES},
    ),
    TableErasure(
        "memberships",
        _PROFILE,
        blanked_columns={"external_id": "NULL"},
        retained={"id profile_id type occurred_at optin_channel optin_subchannel consents is_effective created_at": _COUNTED},
    ),
    TableErasure(
        "transaction_items",
        _TRANSACTION,
        blanked_columns={
            "details": "NULL",
            "discounts": """
            (
                SELECT jsonb_agg(jsonb_build_object('amount', each -> 'amount'))
                FROM jsonb_array_elements(discounts) AS each
            )
            """,
        },
        retained={
            "id external_id": "A correction, a return or the same file again finds the line.",
            "transaction_id name sku brand product_id product_variant_id quantity price_sell price_current "
            "price_original price_tax is_void created_at updated_at": _VALUES,
        },
    ),
    TableErasure(
        "transactions",
        _BUYER,
        blanked_columns={
            "details": """
            nullif(jsonb_strip_nulls(jsonb_build_object(
                'total_original', details -> 'total_original',
                'rounding', details -> 'rounding',
                'margin', details -> 'margin',
                'type', details -> 'type',
                'status', details -> 'status'
            )), '{}')
            """
        },
        retained={
            "id external_id receipt_ref fingerprint": "A correction, a return or the same file finds the purchase.",
            "profile_id transacted_at timezone total currency currency_rate location_id systems is_void created_at "
            "updated_at amount direction transacted_on channels discount list_value item_product_ids item_brands "
            "items_overflow": _VALUES,
        },
    ),
    TableErasure(
        "transaction_claims",
        _PROFILE,
        erased_columns="id profile_id receipt_ref transacted_at timezone total location_external_code transaction_id "
        "created_at updated_at",
    ),
    TableErasure(
        "idempotency_keys",
        deleted_by="model.erasure",
        blanked_columns=dict.fromkeys(("status", "response_body", "profile_id", "profile_ids", "transaction_id"), ""),
        retained_after_purge={"day key_hash request_hash created_at": "Hashes: a late retry does not create the "
        "member again. Dropped by day."},
    ),
    TableErasure("import_batches", impersonal_columns="community_id batch_id entity accepted unchanged rejected created_at"),
    TableErasure(
        "tokens",
        _PROFILE,
        deleted_by="model.erasure",
        erased_columns="id organization_id profile_id hash hint name permits customers created_at expires_at revoked_at "
        "used_at",
    ),
    TableErasure("webhooks", impersonal_columns="community_id id trigger url namespace user_id is_active retry_daily "
          "retry_hourly queue condition secret created_at updated_at previous_secret previous_secret_expires_at "
          "disabled_at disabled_reason"),
    TableErasure(
        "webhook_events", _PROFILE, deleted_by="model.events",
        impersonal_columns="community_id id event_id type occurred_at subject_id namespace",
        retained_after_purge={"profile_id data": "The deletion itself, which receivers must learn of, until it is "
        "matched with webhooks."},
    ),
    TableErasure(
        "webhook_deliveries", _PROFILE, deleted_by="model.events",
        impersonal_columns="community_id id webhook_id event_id event_type occurred_at status attempts due_at first_attempt_at "
        "last_attempt_at response_status error created_at",
        blanked_columns={"response_excerpt": "", "transaction_id": ""},
        retained_after_purge={
            "profile_id ordering_key body": "The deletion itself, which receivers must learn of. Deleted with the log.",
        },
    ),
    TableErasure("webhook_leases", impersonal_columns="community_id webhook_id owner expires_at consecutive_failures "
          "paused_until"),
    TableErasure("locations", impersonal_columns="community_id id external_id external_code type name description phone email "
          "timezone country iso_state state is_published is_permanently_closed address normal_hours special_hours tags "
          "custom_fields extra created_at updated_at deleted_at"),
    TableErasure("brands", impersonal_columns="community_id id external_id name extra created_at updated_at deleted_at"),
    TableErasure("products", impersonal_columns="community_id id external_id name brand_id extra created_at "
          "updated_at deleted_at"),
    TableErasure("product_variants", impersonal_columns="community_id id product_id external_id sku name price extra created_at "
          "updated_at deleted_at"),
)  # fmt: skip
"""Facts."""

DERIVED = (
    TableErasure(
        "profile_aggregations",
        _PROFILE,
        deleted_by="aggregations.refresh",
        retained={"profile_id calculated_at next_change_at values_version": _VALUES},
        default_reason="A value of the profile.",
    ),
    TableErasure(
        "outbox",
        _PROFILE,
        retained={"day id recorded_xid profile_id changed_at reason changes": "Values that changed, without a name."},
    ),
    TableErasure(
        "members",
        _PROFILE,
        deleted_by="facts.members",
        retained={
            "member_id is_member optin_channel optin_subchannel optin_platform gender birth_date subunit_ids group_ids "
            "favorite_stores consents_true consents_false marketing sms_status email_status push_status country "
            "properties created_at groups valid_from next_change_at": _COUNTED,
        },
        retained_after_purge={
            "profile_id updated_at recorded_xid": "The id, which leads to nothing, for two days: columnar copies "
            "take the member out by it.",
        },
    ),
    TableErasure(
        "member_dimension_history",
        _PROFILE,
        deleted_by="facts.members",
        retained={
            "profile_id valid_from valid_to groups optin_channel optin_subchannel optin_platform gender birth_date "
            "consents_true consents_false": _COUNTED,
        },
    ),
    TableErasure(
        "membership_events",
        _PROFILE,
        deleted_by="facts.members",
        retained={
            "profile_id membership_id type occurred_at is_counted optin_channel optin_subchannel optin_platform gender age "
            "consents_true consents_false": _COUNTED,
        },
    ),
    TableErasure("snapshot_members", _PROFILE, "rollups.snapshots", retained={"profile_id valid_from valid_to "
          "dimensions_hash": _COUNTED}),
    TableErasure("segment_memberships", _PROFILE, retained={"profile_id version_id entered_at left_at": _COUNTED}),
    TableErasure(
        "purchases",
        _MEMBER,
        deleted_by="facts.purchases",
        retained={
            "id recorded_xid purchased_at is_counted sales amount member_id location channel brands brand_amounts "
            "dimension_frequency dimension_recency dimension_join gender age": _COUNTED,
        },
    ),
    TableErasure(
        "purchase_versions",
        retained={
            "id recorded_xid purchased_at is_counted sales amount member_id location channel brands brand_amounts "
            "dimension_frequency dimension_recency dimension_join gender age superseded_xid": "The previous version "
            "of a purchase, until the next compaction.",
        },
    ),
    TableErasure(
        "member_bitmaps",
        retained={
            "metric_family granularity dimension bucket dimension_value chunk bitmap": _COUNTED,
        },
    ),
    TableErasure(
        "sending_dispatches",
        _PROFILE,
        deleted_by="facts.sending_events",
        retained={
            "id sending_id profile_id transmitted_at event_mask gender age optin_platform country active_days": _COUNTED,
            "dispatch_key_hash": "A hash of an id of another system, or the id of the profile.",
        },
    ),
    TableErasure(
        "sending_events",
        _DISPATCH,
        deleted_by="facts.sending_events",
        retained={"dispatch_id sending_id occurred_at event_type": _COUNTED, "event_key_hash": _DIGEST},
    ),
    TableErasure(
        "offer_events",
        _PROFILE,
        deleted_by="facts.offer_events",
        retained={
            "offer_id occurred_at profile_id location_id event_type": _COUNTED,
            "event_key_hash": _DIGEST,
            "transaction_external_id": "The external id of the purchase, which is retained as well.",
        },
    ),
    TableErasure(
        "link_visits",
        _VISITOR,
        deleted_by="facts.link_visits",
        retained={"link_id visited_at visitor_no": _COUNTED, "visit_key_hash": _DIGEST},
    ),
    TableErasure(
        "link_visitors",
        "visitor_hash = ANY ($2)",
        deleted_by="facts.link_visits",
        retained={"visitor_hash visitor_no is_profile": _COUNTED},
    ),
    TableErasure("link_rollups", impersonal_columns="link_id bucket community_id segment_no visits granularity visitor_nos"),
    TableErasure("links", impersonal_columns="community_id id link_hash source_type sending_id offer_external_id host "
          "path utm_source utm_medium utm_campaign utm_content utm_term"),
)  # fmt: skip
"""Data derived from facts, by member."""

COUNTS = (
    TableErasure("group_count_deltas", retained={"recorded_xid bucket grouping_type grouping_value delta "
          "changed_at": _CATEGORIES}),
    TableErasure(
        "member_flow_deltas",
        retained={
            "recorded_xid bucket type optin_channel optin_subchannel optin_platform gender age consents_true "
            "consents_false delta": _CATEGORIES,
        },
    ),
    TableErasure("group_counts", retained={"grouping_type grouping_value members_count updated_at": _CATEGORIES}),
    TableErasure("group_rollups", retained={"granularity bucket grouping_type grouping_value delta": _CATEGORIES}),
    TableErasure(
        "balance_rollups",
        retained={
            "granularity dimension_set bucket dimensions_hash type optin_channel optin_subchannel optin_platform "
            "gender age consents_true consents_false count": _CATEGORIES,
        },
    ),
    TableErasure(
        "snapshot_counts",
        retained={
            "dimensions_hash members_count optin_channel optin_subchannel optin_platform gender age country consents_true "
            "consents_false": _CATEGORIES,
        },
    ),
    TableErasure("snapshot_rollups", retained={"granularity bucket dimensions_hash delta": _CATEGORIES}),
    TableErasure(
        "recipient_rollups",
        retained={"granularity sending_id bucket dimensions_hash gender age optin_platform country count": _CATEGORIES},
    ),
    TableErasure("purchase_rollups", retained={"granularity dimension bucket dimension_value purchases sales amount": _NUMBERS}),
    TableErasure("sending_rollups", retained={"granularity sending_id bucket event_type count": _NUMBERS}),
    TableErasure("sending_daily_uniques", retained={"sending_id count day previous_day event_type": _NUMBERS}),
    TableErasure("offer_rollups", retained={"granularity offer_id bucket event_type location_id count": _NUMBERS}),
    TableErasure("sendings", impersonal_columns="community_id id external_id is_placeholder reporting_id language "
          "channel service_type source_id source_app source_type audience_id campaign_id created_at dispatches_count "
          "members_count new_count scheduled_count transmitted_count delivered_count failed_count opened_count "
          "unique_opened_count clicked_count unique_clicked_count unique_delivered_count unique_engaged_count "
          "unique_bounced_count unique_unsubscribed_count bounced_count unsubscribed_count complained_count "
          "first_event_at last_event_at"),
    TableErasure("offers", impersonal_columns="community_id id external_id is_placeholder name type status "
          "collection_ids location_id campaign_id usable_since usable_until stock created_at updated_at seen_count "
          "clicked_count granted_count used_count first_event_at last_event_at"),
    TableErasure("offer_collections", impersonal_columns="community_id id external_id is_placeholder name created_at updated_at"),
)  # fmt: skip
"""Counts of many members. After a purge, counts of 0 are deleted with the next expiry (`rollups.empty_counts`)."""

SYSTEM = (
    TableErasure("organizations", impersonal_columns="id name created_at min_cell_size general_burst general_rate_per_second "
          "reporting_burst reporting_rate_per_second"),
    TableErasure("communities", impersonal_columns="id organization_id customer_id loyalty_club_id slug name country timezone "
          "currency minor_digits attributes created_at updated_at member_handles segments_version void_statuses "
          "has_new_void_statuses updates_channel_statuses has_unnormalized_profiles has_former_dispatch_keys"),
    TableErasure("commit_markers", impersonal_columns="community_id day id"),
    TableErasure("cache_versions", impersonal_columns="community_id values_version locations_version"),
    TableErasure("rollup_timezones", impersonal_columns="community_id fact_type timezone"),
    TableErasure("compaction_state", impersonal_columns="community_id watermark timezone backfilled_up_to"),
    TableErasure("purchase_compaction_state", impersonal_columns="community_id watermark timezone"),
    TableErasure("segments", impersonal_columns="community_id id name description version_id created_at updated_at deleted_at"),
    TableErasure("segment_versions", impersonal_columns="community_id id segment_id number filter cause organization_id token_id "
          "started_at ended_at filled_up_to is_filled known_since problem"),
    TableErasure("segment_days", impersonal_columns="community_id day"),
    TableErasure("snapshot_state", impersonal_columns="community_id watermark day"),
    TableErasure("snapshot_coverage", impersonal_columns="community_id first_at last_at"),
    TableErasure("providers", impersonal_columns="community_id provider signing_keys sending_field profile_field "
          "dispatch_field url created_at updated_at"),
    TableErasure("webhook_replay_guard", impersonal_columns="provider key_hash token_hash body_hash seen_at"),
    TableErasure("rate_limits", impersonal_columns="organization_id customer_id kind tokens is_allowed refilled_at leases"),
    TableErasure("signing_keys", impersonal_columns="id purpose secret created_at"),
    TableErasure("export_schedules", impersonal_columns="organization_id id name request community_ids permits token_id cron "
          "timezone webhook_secret next_run_at created_at updated_at"),
    TableErasure("exports", impersonal_columns="organization_id id status request community_ids permits has_customer_columns "
          "token_id schedule_id "
          "scheduled_for key_hash request_hash job_id attempt rows_written expected_rows location folder host file_path bytes "
          "sha256 error webhook_url webhook_secret requested_at snapshot_at finished_at expires_at"),
    # People who work for the organization, not its members.
    TableErasure("roles", impersonal_columns="organization_id id name permits customers location_ids created_at updated_at"),
    TableErasure("users", impersonal_columns="organization_id id email name role_id password_hash created_at updated_at "
          "password_changed_at signed_in_at deactivated_at"),
    TableErasure("user_sessions", impersonal_columns="organization_id id hash user_id token_id address user_agent created_at "
          "seen_at expires_at revoked_at"),
    TableErasure("saved_views", impersonal_columns="organization_id id user_id name report query period is_shared created_at"),
    TableErasure("sign_in_failures", impersonal_columns="key_hash failures started_at"),
    TableErasure(
        "audit_log",
        impersonal_columns="organization_id id occurred_at actor_type actor_id actor_name action subject_type "
        "community_ids operation address details count",
        retained_after_purge={
            "subject_ids": "The fact that the data of a member were read, changed or erased, by an id that leads to nothing."
        },
    ),
    TableErasure("load_runs", impersonal_columns="community_id id source entity file_name started_at finished_at accepted "
          "unchanged rejected reasons error"),
    TableErasure("verify_runs", impersonal_columns="community_id id started_at finished_at profiles differences "
          "differences_by_name"),
    TableErasure("job_errors", impersonal_columns="job_id failed_at error"),
    # Arguments of jobs are times and ids of exports, and refer to no member.
    TableErasure("procrastinate_jobs", impersonal_columns="id queue_name task_name priority lock queueing_lock args status "
          "scheduled_at attempts abort_requested worker_id"),
    TableErasure("procrastinate_events", impersonal_columns="id job_id type at"),
    TableErasure("procrastinate_periodic_defers", impersonal_columns="id task_name defer_timestamp job_id periodic_id"),
    TableErasure("procrastinate_workers", impersonal_columns="id last_heartbeat"),
    TableErasure("schema_migrations", impersonal_columns="name checksum version applied_at"),
)  # fmt: skip
"""Organizations, communities, and the state of jobs."""

TABLES: Mapping[str, TableErasure] = {each.name: each for each in (*FACTS, *DERIVED, *COUNTS, *SYSTEM)}
"""All tables by name."""


def purge_statements() -> Iterator[str]:
    """Yields the statements of a purge of profiles $2 of community $1, for tables that need only a DELETE."""
    for table in TABLES.values():
        if table.condition and not table.deleted_by:
            yield _delete(table)


def depersonalize_statements() -> Iterator[str]:
    """Yields the statements that depersonalise profiles $2 of community $1."""
    for table in TABLES.values():
        if not table.condition:
            continue
        if not table.keeps_rows and not table.deleted_by:
            yield _delete(table)
        if blanked := {column: value for column, value in table.blanked_columns.items() if value}:
            changes = ", ".join(f"{column} = {value}" for column, value in blanked.items())
            yield f"UPDATE {table.name} SET {changes} WHERE community_id = $1 AND {table.condition}"


def _delete(table: TableErasure) -> str:
    return f"DELETE FROM {table.name} WHERE community_id = $1 AND {table.condition}"


def retained_columns(table: str) -> tuple[str, ...]:
    """Returns the columns of a table that are retained for a depersonalised profile."""
    found = TABLES[table]
    return tuple(" ".join((*found.retained, *found.retained_after_purge)).split())
