"""Regulars: what is known of one member and of all members, always true."""
