"""The response formats: records, timeseries, statistics."""
