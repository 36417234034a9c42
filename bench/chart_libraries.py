"""`python -m bench.chart_libraries`: what decision 38 compares, of the libraries for charts that are installed.

Sizes, the CPU time of an SVG, and messages of Chromium under the policy of the dashboard. plotly is measured only if it is
installed: `pip install plotly`. Chromium is that of Debian, driven by playwright.
"""

import gzip
import http.server
import json
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from regulars.charts.palette import STATIC

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
DAYS = [f"2026-01-{day:02}T00:00:00" for day in range(1, 29)]
SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "width": 700,
    "data": {"values": [{"x": x, "y": index * 3 % 7, "s": s} for index, x in enumerate(DAYS) for s in "abcdefgh"]},
    "mark": "line",
    "encoding": {
        "x": {"field": "x", "type": "temporal"},
        "y": {"field": "y", "type": "quantitative"},
        "color": {"field": "s", "type": "nominal"},
    },
}
TRACES = [{"x": DAYS, "y": [index * 3 % 7 for index in range(28)], "name": s} for s in "abcdefgh"]
_DRAW_VEGA = f"""await vegaEmbed("#chart", {json.dumps(SPEC)},
  {{ actions: false, ast: true, defaultStyle: false, renderer: "svg", tooltip: false }});"""
_DRAW_PLOTLY = f'await Plotly.newPlot("chart", {json.dumps(TRACES)}, {{}}, {{ responsive: true }});'


def main() -> None:
    """Prints the figures."""
    report("vl-convert-python", STATIC / "vega.js", _DRAW_VEGA)
    try:
        plotly = Path(str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js")))
        report("plotly", plotly, _DRAW_PLOTLY)
    except PackageNotFoundError:
        print("plotly: not installed")
    import vl_convert

    for name in ("SVG, first", "SVG, second", "SVG, third"):
        print(f"vl-convert-python: {name}: {cpu_seconds(lambda: vl_convert.vegalite_to_svg(SPEC)):.3f} s of CPU")
    print(f"vl-convert-python: PNG: {cpu_seconds(lambda: vl_convert.vegalite_to_png(SPEC)):.3f} s of CPU")


def report(package: str, script: Path, draw: str) -> None:
    """Prints the sizes of a package and its script, and what Chromium reports when it draws."""
    files = [Path(str(each.locate())) for each in distribution(package).files or ()]
    installed = sum(each.stat().st_size for each in files if each.exists())
    text = script.read_bytes()
    print(f"{package}: {installed / 1e6:.0f} MB installed")
    print(f"{package}: script {len(text) / 1e3:.0f} KB, {len(gzip.compress(text, 9)) / 1e3:.0f} KB gzipped")
    messages = browser_messages(text, f"{draw}\ndocument.title = 'drawn';".encode())
    print(f"{package}: {len(messages)} messages of Chromium under a strict policy {messages[:1]}")


def cpu_seconds(work: Callable[[], Any]) -> float:
    """The CPU time of some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def browser_messages(script: bytes, draw: bytes) -> list[str]:
    """The errors and warnings of a page that draws a chart under the policy."""
    from playwright.sync_api import sync_playwright

    page = (
        b'<!DOCTYPE html><title>-</title><link rel="icon" href="data:,"><div id="chart"></div><script src="/library"></script>'
        b'<script src="/draw" type="module"></script>'
    )
    contents = {"/": ("text/html", page), "/library": ("text/javascript", script), "/draw": ("text/javascript", draw)}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media_type, content = contents[self.path]
            self.send_response(200)
            self.send_header("Content-Type", f"{media_type}; charset=utf-8")
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Writes no log."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    messages: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("console", lambda message: messages.append(message.text[:120]))
        tab.on("pageerror", lambda error: messages.append(str(error)[:120]))
        tab.goto(f"http://127.0.0.1:{server.server_port}/")
        tab.wait_for_function("document.title === 'drawn'")
        browser.close()
    server.shutdown()
    return messages


if __name__ == "__main__":
    main()
