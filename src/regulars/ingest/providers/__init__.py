"""Providers of e-mail and SMS that report events by webhooks: each is a declaration with a parser of signed requests."""
