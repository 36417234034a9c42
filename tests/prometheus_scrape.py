"""What a scrape of /metrics holds, read as Prometheus reads it."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Scrape:
    """The samples of one scrape: name, labels, number."""

    samples: list[tuple[str, dict[str, str], float]]

    def series(self, name: str) -> list[tuple[dict[str, str], float]]:
        """The samples of one name: their labels and numbers."""
        return [(labels, number) for found, labels, number in self.samples if found == name]

    def value(self, name: str, **labels: str) -> float:
        """The one sample that has these labels."""
        (number,) = (number for found, number in self.series(name) if found == labels)
        return number


def parse_scrape(text: str) -> Scrape:
    """The samples of an answer."""
    families = text_string_to_metric_families(text)
    return Scrape([(each.name, dict(each.labels), each.value) for family in families for each in family.samples])
