"""Endpoints of the Reporting API."""
