"""Transactions: their schema, their line items, their updates."""
