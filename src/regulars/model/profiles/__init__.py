"""Profiles: their schema, how they are found and written."""
