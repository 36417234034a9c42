"""Pages of administration: customers, people, roles, tokens, access, webhooks, jobs, privacy and the audit log."""
