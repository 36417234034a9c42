"""Charts in HTML: a figure within a page, with a table of the same figures, and a page of its own."""

import html
from collections.abc import Iterator

import msgspec

from regulars.charts.chart import Chart
from regulars.charts.palette import STATIC
from regulars.charts.vega_spec import format_figure, panel_spec, unit_name

_encoder = msgspec.json.Encoder(decimal_format="number")

_PAGE = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}
:root {{ color-scheme: light dark; }}
body {{ margin: 1.5rem; font: 16px/1.5 system-ui, sans-serif; color: var(--chart-text); background: var(--chart-surface); }}
</style>
</head>
<body>
{content}
</body>
</html>
"""


def render_figure(chart: Chart, *, has_table: bool = True) -> str:
    """A figure for pages that include charts.css, vega.js and charts.js.

    Without scripts its table can be read; a page that has the same figures elsewhere needs none.
    """
    return "\n".join(_figure(chart, has_table=has_table))


def render_page(chart: Chart) -> str:
    """A page that needs no other file and no network. Without figures it is a sentence, and needs no script."""
    scripts = ""
    if chart.panels:
        vega, program = ((STATIC / name).read_text() for name in ("vega.js", "charts.js"))
        scripts = f'<script>{vega}</script>\n<script type="module">{program}</script>'
    return _PAGE.format(
        language=chart.language.locale.partition("_")[0],
        title=html.escape(chart.title),
        style=(STATIC / "charts.css").read_text(),
        content=f"<main>{render_figure(chart)}</main>\n{scripts}",
    )


def _figure(chart: Chart, *, has_table: bool) -> Iterator[str]:
    title = html.escape(chart.title)
    subtitle = f" <span>{html.escape(chart.subtitle)}</span>" if chart.subtitle else ""
    yield '<figure class="chart">'
    yield f"<figcaption><strong>{title}</strong>{subtitle}</figcaption>"
    if not chart.panels:
        yield f'<p class="chart-note">{html.escape(chart.empty_text)}</p></figure>'
        return
    for panel in chart.panels:
        spec = _encoder.encode(panel_spec(chart, panel)).decode()
        # A label must not be able to close the script element.
        data = spec.replace("<", "\\u003c")
        label = f"{title}: {html.escape(', '.join(each.name for each in panel.series))}"
        yield f'<div class="chart-plot" role="img" aria-label="{label}"></div>'
        yield f'<script type="application/json">{data}</script>'
    yield from (f'<p class="chart-note">{html.escape(each)}</p>' for each in chart.notes)
    if has_table:
        yield from _details(chart)
    yield "</figure>"


def _details(chart: Chart) -> Iterator[str]:
    translate = chart.language.translate
    summary = html.escape(translate("Figures as a table"))
    yield f"<details><summary>{summary}</summary>"
    label = html.escape(translate("Figures"))
    yield f'<div class="chart-figures" tabindex="0" role="region" aria-label="{label}"><table>'
    yield from _table(chart)
    yield "</table></div></details>"


def _table(chart: Chart) -> Iterator[str]:
    heads = [
        f"{each.name} ({unit_name(chart, panel)})" if len(chart.panels) > 1 else each.name
        for panel in chart.panels
        for each in panel.series
    ]
    cells = "".join(f'<th scope="col">{html.escape(each)}</th>' for each in (chart.axis.title, *heads))
    yield f"<thead><tr>{cells}</tr></thead><tbody>"
    for index, place in enumerate(chart.axis.places):
        values = "".join(
            f"<td>{html.escape(format_figure(chart, panel, each.values[index]))}</td>"
            for panel in chart.panels
            for each in panel.series
        )
        yield f'<tr><th scope="row">{html.escape(place)}</th>{values}</tr>'
    yield "</tbody>"
