"""Fact types, each declared in one file: its rows, how they are stored and counted, erased and verified."""
