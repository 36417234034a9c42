"""Logs, metrics and their export."""
