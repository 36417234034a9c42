"""All generated pages of the documentation."""

from collections.abc import Callable, Mapping
from pathlib import Path

from regulars.docsgen import (
    administration_api,
    cli_page,
    configuration_page,
    metrics_page,
    profile_api,
    report_pages,
    values_page,
)

GENERATORS: tuple[Callable[[], Mapping[str, str]], ...] = (
    lambda: {f"reports/{name}": text for name, text in report_pages.render_pages().items()},
    lambda: {"profile-api.md": profile_api.render()},
    lambda: {"administration-api.md": administration_api.render()},
    lambda: {"configuration.md": configuration_page.render()},
    lambda: {"cli.md": cli_page.render()},
    lambda: {"metrics.md": metrics_page.render()},
    lambda: {"values.md": values_page.render()},
)
"""Functions that return pages by their path within the folder of the documentation."""

_GENERATED_FOLDERS = ("reports",)
"""Folders that contain generated pages only."""


def render_all() -> Mapping[str, str]:
    """All generated pages by their path within the folder of the documentation."""
    return {path: text for generate in GENERATORS for path, text in generate().items()}


def write_all(folder: Path) -> None:
    """Writes all generated pages, and removes outdated ones from folders of generated pages."""
    pages = render_all()
    for name in _GENERATED_FOLDERS:
        for file in (folder / name).glob("*.md"):
            if str(file.relative_to(folder)) not in pages:
                file.unlink()
    for path, text in pages.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
