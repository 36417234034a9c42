"""Authentication, authorization, tenants and rate limits."""
