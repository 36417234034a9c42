"""Endpoints of the Profile API."""
