"""What the audit log records of a request: each endpoint declares one of these rules."""

from dataclasses import dataclass
from enum import Enum

from regulars.auth.principals import Principal


class AuditAction(Enum):
    """What was done with the subject of a request."""

    READ = "read"
    EXPORT = "export"
    IMPORT = "import"
    CHANGE = "change"
    ERASE = "erase"
    ACCESS = "access"
    """A change of users, roles, tokens, sessions or limits."""
    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class AuditRule:
    """What is recorded of a request, or nothing if `action` is None.

    Requests of people are always recorded. Tokens send machine traffic: their requests are recorded if
    `includes_tokens`, or if the setting `audit_tokens` is `all`. `subject_type` is the kind of object that the request
    is about, and `parameter` the path parameter with its id; without it, ids are taken from the response. An id that is
    a name, such as that of a segment, is recorded if `is_named`; all others must be a UUID or a number, so that text in
    a path can't bring personal data into the log.
    """

    action: AuditAction | None
    subject_type: str = ""
    parameter: str = ""
    includes_tokens: bool = False
    is_named: bool = False

    def applies_to(self, principal: Principal, *, includes_all_tokens: bool) -> bool:
        """Whether a request of this caller is recorded."""
        if self.action is None or principal.organization_id is None:
            return False
        return principal.user_id is not None or self.includes_tokens or includes_all_tokens


NOTHING = AuditRule(None)
"""For requests that change nothing and whose response has no personal data."""

READ_PROFILE = AuditRule(AuditAction.READ, "profile", "id")
READ_PROFILES = AuditRule(AuditAction.READ, "profile")
CREATE_PROFILES = AuditRule(AuditAction.CHANGE, "profile")
CHANGE_PROFILE = AuditRule(AuditAction.CHANGE, "profile", "id")
MERGE_PROFILES = AuditRule(AuditAction.ERASE, "profile", includes_tokens=True)
ERASE_PROFILE = AuditRule(AuditAction.ERASE, "profile", "id", includes_tokens=True)
CREATE_MEMBER_TOKEN = AuditRule(AuditAction.ACCESS, "member token")

READ_TRANSACTION = AuditRule(AuditAction.READ, "transaction", "id")
READ_TRANSACTIONS = AuditRule(AuditAction.READ, "transaction")
CREATE_TRANSACTIONS = AuditRule(AuditAction.CHANGE, "transaction")
CHANGE_TRANSACTION = AuditRule(AuditAction.CHANGE, "transaction", "id")

CREATE_LOCATIONS = AuditRule(AuditAction.CHANGE, "location")
CHANGE_LOCATION = AuditRule(AuditAction.CHANGE, "location", "id")
CREATE_PRODUCTS = AuditRule(AuditAction.CHANGE, "product")
CHANGE_PRODUCT = AuditRule(AuditAction.CHANGE, "product", "id")
CREATE_BRANDS = AuditRule(AuditAction.CHANGE, "brand")
CHANGE_BRAND = AuditRule(AuditAction.CHANGE, "brand", "id")
IMPORT = AuditRule(AuditAction.IMPORT, "entity", "entity", includes_tokens=True, is_named=True)

CREATE_WEBHOOK = AuditRule(AuditAction.CHANGE, "webhook", includes_tokens=True)
CHANGE_WEBHOOK = AuditRule(AuditAction.CHANGE, "webhook", "id", includes_tokens=True)
READ_DELIVERIES = AuditRule(AuditAction.READ, "webhook", "id")
"""The payloads of deliveries are profiles and transactions."""

READ_REPORT = AuditRule(AuditAction.READ, "report", is_named=True)
"""For reports with rows of single members; counts are not recorded."""

CHANGE_VIEW = AuditRule(AuditAction.CHANGE, "saved view", "id")

READ_SEGMENT_MEMBERS = AuditRule(AuditAction.READ, "segment", "name", is_named=True)
CREATE_SEGMENT = AuditRule(AuditAction.CHANGE, "segment", includes_tokens=True, is_named=True)
CHANGE_SEGMENT = AuditRule(AuditAction.CHANGE, "segment", "name", includes_tokens=True, is_named=True)
CREATE_EXPORT = AuditRule(AuditAction.EXPORT, "export", includes_tokens=True)
DOWNLOAD_EXPORT = AuditRule(AuditAction.EXPORT, "export", "id", includes_tokens=True)
DELETE_EXPORT = AuditRule(AuditAction.CHANGE, "export", "id", includes_tokens=True)
CREATE_EXPORT_SCHEDULE = AuditRule(AuditAction.EXPORT, "export schedule", includes_tokens=True)
CHANGE_EXPORT_SCHEDULE = AuditRule(AuditAction.EXPORT, "export schedule", "id", includes_tokens=True)

EXPORT_AUDIT_LOG = AuditRule(AuditAction.EXPORT, "audit log", includes_tokens=True)
CHANGE_LIMITS = AuditRule(AuditAction.ACCESS, "organization", includes_tokens=True)
CREATE_TOKEN = AuditRule(AuditAction.ACCESS, "token", includes_tokens=True)
CHANGE_TOKEN = AuditRule(AuditAction.ACCESS, "token", "id", includes_tokens=True)
CREATE_USER = AuditRule(AuditAction.ACCESS, "user", includes_tokens=True)
CHANGE_USER = AuditRule(AuditAction.ACCESS, "user", "id", includes_tokens=True)
CREATE_ROLE = AuditRule(AuditAction.ACCESS, "role", includes_tokens=True)
CHANGE_ROLE = AuditRule(AuditAction.ACCESS, "role", "id", includes_tokens=True)
END_SESSION = AuditRule(AuditAction.ACCESS, "session", "id", includes_tokens=True)
CHANGE_JOB = AuditRule(AuditAction.CHANGE, "job", "id", includes_tokens=True)
RESEND_DELIVERY = AuditRule(AuditAction.CHANGE, "delivery", "id", includes_tokens=True)
