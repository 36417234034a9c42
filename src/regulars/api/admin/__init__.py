"""The Administration API: customers, tokens, users, jobs, deliveries, the audit log and the state of the data."""
