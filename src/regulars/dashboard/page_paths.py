"""Finds the page of a path."""

from collections.abc import Iterable, Mapping, Sequence

from regulars.dashboard.page import Page


class PagePaths:
    """Pages by the segments of their paths. A page with a literal segment comes before one with a parameter."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._pages: dict[int, list[tuple[Sequence[str], Page]]] = {}
        for page in pages:
            segments = page.path.split("/")
            self._pages.setdefault(len(segments), []).append((segments, page))
        for group in self._pages.values():
            group.sort(key=lambda pair: [each.startswith("{") for each in pair[0]])

    def find(self, segments: Sequence[str]) -> tuple[Page, Mapping[str, str]] | None:
        """The page at a path and the parameters in it; None if there is none."""
        for pattern, page in self._pages.get(len(segments), ()):
            if all(
                bool(actual) if expected.startswith("{") else actual == expected
                for expected, actual in zip(pattern, segments, strict=True)
            ):
                pairs = zip(pattern, segments, strict=True)
                return page, {name[1:-1]: value for name, value in pairs if name.startswith("{")}
        return None
