"""Compiles queries to SQL."""
