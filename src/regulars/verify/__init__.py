"""Verification: stored values and counts are compared with recomputed ones."""
