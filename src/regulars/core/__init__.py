"""Pure functions and types of the business: no database, no settings, no clock."""
