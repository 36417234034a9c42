"""`python -m regulars.charts.vega_script`: writes static/vega.js, the script of pages with charts, by vl-convert."""

from regulars.charts.palette import STATIC
from regulars.charts.picture import VEGA_LITE, require_vl_convert

_PROGRAM = "window.vegaEmbed = vegaEmbed;"


def build_script() -> str:
    """Vega-Embed with Vega-Lite and Vega as a classic script that defines `vegaEmbed`."""
    script: str = require_vl_convert().javascript_bundle(_PROGRAM, vl_version=VEGA_LITE)
    return script


if __name__ == "__main__":
    (STATIC / "vega.js").write_text(build_script())
