"""Clubs to look at: one of real purchases (`cdnow`), one of a generated shopping-mall club (`mall`).

Both yield rows in the form in which facts come in: dicts whose keys are the field names of the API, money as
Decimal, times with their offset, objects and lists as they are. Nothing here needs a server.
"""
