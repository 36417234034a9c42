"""Declarations of reports over all members of a community."""
