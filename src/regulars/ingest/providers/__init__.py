"""Providers of e-mail and SMS that report events by webhooks: a declaration and a parser of signed requests each."""
