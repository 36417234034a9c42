"""The registry of providers: routes, command, metrics and documentation are derived from it."""

from regulars.ingest.providers.mailgun import MAILGUN
from regulars.ingest.providers.provider import Provider
from regulars.ingest.providers.sendgrid import SENDGRID
from regulars.ingest.providers.ses import SES
from regulars.ingest.providers.twilio import TWILIO

PROVIDERS: tuple[Provider, ...] = (SES, SENDGRID, MAILGUN, TWILIO)

PROVIDERS_BY_NAME = {each.name: each for each in PROVIDERS}
