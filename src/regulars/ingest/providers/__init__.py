"""What providers of mail and SMS tell by webhooks: a declaration each, from a signed request to events of sendings."""
