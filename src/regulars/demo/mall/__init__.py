"""The generated club of shopping malls."""
