"""Examples of request bodies, for OpenAPI and the documentation."""

from typing import Any

Example = dict[str, Any]

_PROFILE_ID = "019a2f3e-6b1c-7c5d-9a0b-2f4c8e6d1a37"

ADDRESS: Example = {"address_line_1": "Storgata 1", "postcode": "0155", "city": "Oslo", "country_iso_3": "NOR"}
AGGREGATIONS_QUERY: Example = {"profile_ids": [_PROFILE_ID], "names": ["spend_12m", "shop_count"]}
ATTRIBUTES: Example = {"size_shoe": "42"}
AVAILABILITY: Example = {"email": "kari@example.com"}
BRAND: Example = {"external_id": "nord", "name": "Nord", "handle": "nord"}
CLAIM: Example = {
    "transaction_receipt_ref": "000123",
    "transaction_transacted_at": "2026-11-20 14:05:00",
    "transaction_timezone": "Europe/Oslo",
    "transaction_total": 349.0,
    "transaction_location_external_code": "10",
}
COMMS: Example = {"email_promo": True, "sms_promo": False}
IDENTITY: Example = {"handle": "loyalty_card", "identifier": "7000123456"}
LOCATION: Example = {
    "external_id": "oslo-1",
    "name": "Oslo City",
    "timezone": "Europe/Oslo",
    "address": {"city": "Oslo", "postcode": "0154", "country_iso_3": "NOR"},
}
LOCATIONS: Example = {"locations": [LOCATION]}
MEMBER_TOKEN: Example = {"id": "kari@example.com", "id_handle": "email"}
MERGE: Example = {
    "source_profile_id": "019a2f3e-7f00-7b1e-8c11-5d2e9f7a4b60",
    "destination_profile_id": _PROFILE_ID,
}
VARIANT: Example = {"external_id": "B-42-BLACK", "sku": "B-42", "name": "Black, 42", "price": 499.0}
PRODUCT: Example = {"external_id": "B", "name": "Boots", "brand": "Nord", "variants": [VARIANT]}
PRODUCTS: Example = {"products": [PRODUCT]}
PROFILE: Example = {
    "external_id": "C-1001",
    "first_name": "Kari",
    "last_name": "Nordmann",
    "email": "kari@example.com",
    "mobile_phone": "+4740000001",
    "birth_year": 1985,
}
OWN_PROFILE: Example = {"first_name": "Kari", "birth_year": 1985}
PROFILES: Example = {"profiles": [PROFILE], "match_criteria": "email"}
PROFILE_SEARCH: Example = {"type": "email", "id": "kari@example.com"}
PROFILE_SYNC: Example = {"updated_at": "2026-11-01 00:00:00"}
PROFILE_TYPE: Example = {"profile_type": "active"}
TRANSACTION_ITEM: Example = {"name": "Boots", "sku": "B-42", "quantity": 1, "price_current": 499.0, "price_sell": 349.0}
TRANSACTION: Example = {
    "external_id": "till-7-000123",
    "profile_id": "kari@example.com",
    "profile_id_handle": "email",
    "transacted_at": "2026-11-20T14:05:00+01:00",
    "timezone": "Europe/Oslo",
    "total": 349.0,
    "location_id": "oslo-1",
    "systems": ["pos"],
    "items": [TRANSACTION_ITEM],
}
TRANSACTIONS: Example = {"transactions": [TRANSACTION]}
WEBHOOK: Example = {"trigger": "aggregation.changed", "url": "https://crm.example.com/regulars"}
WEBHOOK_ROTATION: Example = {"previous_valid_seconds": 86_400}
WEBHOOK_RESEND: Example = {"from": "2026-11-01 00:00:00", "to": "2026-11-02 00:00:00", "status": "delivered"}
