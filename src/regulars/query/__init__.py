"""From a request for a report to its answer."""
