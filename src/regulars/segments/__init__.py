"""Segments: named filters over members, their versions, and who is in which one when."""
