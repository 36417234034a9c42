"""Delivery of webhooks: events are matched with webhooks, and the deliveries sent, signed, retried and logged."""
