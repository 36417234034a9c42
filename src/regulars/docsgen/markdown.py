"""Parts of Markdown pages."""

from collections.abc import Iterable, Sequence


def cell(text: str) -> str:
    """Text that is safe within a table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, followed by an empty line; nothing if there are no rows."""
    lines = [_row(row) for row in rows]
    if not lines:
        return ""
    return "".join([_row(header), "|---" * len(header) + "|\n", *lines, "\n"])


def anchor(heading: str) -> str:
    """The fragment of a heading, as GitHub derives it."""
    characters = "".join(character for character in heading.lower() if character.isalnum() or character in " -_")
    return characters.replace(" ", "-")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell(each) for each in cells)} |\n"
