"""What a page that stands alone carries within it: style sheets, plotly.js, the colours of its charts."""

from collections.abc import Sequence

from markupsafe import Markup

from webui import assets


def inlined(styles: Sequence[str]) -> dict[str, Markup]:
    """Return the variables `css` (of these style sheets), `plotly` and `colors` of a template."""
    return {
        "css": Markup("\n".join(_text(name) for name in styles)),
        "plotly": Markup(assets.plotly_source()),
        "colors": Markup(_text("js/charts/colors.js").replace("export function", "function")),
    }


def _text(name: str) -> str:
    return assets.asset(name).body.decode("utf-8")
