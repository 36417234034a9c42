"""Parses a scrape of /metrics."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Scrape:
    """The samples of a scrape: name, labels, value."""

    samples: list[tuple[str, dict[str, str], float]]

    def series(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Returns the samples of a name with their labels and values."""
        return [(labels, number) for found, labels, number in self.samples if found == name]

    def value(self, name: str, **labels: str) -> float:
        """Returns the value of the only sample with these labels."""
        (number,) = (number for found, number in self.series(name) if found == labels)
        return number


def parse_scrape(text: str) -> Scrape:
    """Parses the samples of a response."""
    families = text_string_to_metric_families(text)
    return Scrape([(each.name, dict(each.labels), each.value) for family in families for each in family.samples])
