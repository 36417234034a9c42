"""Generators of documentation pages from declarations."""
