import gzip
import re
from posixpath import dirname, join, normpath

import pytest

from webui import assets
from webui.charts import figures
from webui.templating import asset_url

OWN_SCRIPTS = sorted(
    name
    for name in assets.names()
    if name.endswith(".js") and name not in (assets.PLOTLY, assets.SWAGGER)
)


def test_plotly_comes_gzipped_from_the_installed_package_and_may_be_kept() -> None:
    body, content_type, etag = assets.asset(assets.PLOTLY)
    assert gzip.decompress(body).startswith(b"/**\n* plotly.js v")
    assert content_type.startswith("text/javascript")
    headers = assets.headers(assets.PLOTLY)
    assert headers["Content-Encoding"] == "gzip"
    assert "immutable" in headers["Cache-Control"]
    assert headers["ETag"] == etag


def test_our_own_files_are_revalidated() -> None:
    headers = assets.headers("js/run.js")
    assert headers["Cache-Control"] == "no-cache"
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize("name", ["nope.js", "../pages.py", "", "plotly.min.js", "/etc/passwd"])
def test_nothing_else_can_be_read(name: str) -> None:
    with pytest.raises(assets.UnknownAsset, match="there is no asset"):
        assets.asset(name)


def test_the_address_of_an_asset_changes_with_its_content() -> None:
    assert re.fullmatch(r"/static/css/base\.css\?v=[0-9a-f]{8}", asset_url("css/base.css"))


@pytest.mark.parametrize("name", OWN_SCRIPTS)
def test_modules_import_only_what_is_shipped(name: str) -> None:
    source = assets.asset(name).body.decode()
    found = re.findall(r'from "(\.[^"]+)"', source)
    assert {normpath(join(dirname(name), one)) for one in found} <= assets.names()
    assert not re.search(r'from "(?!\.)', source)


def test_every_colour_a_figure_asks_for_is_in_the_style_sheet() -> None:
    css = assets.asset("css/base.css").body.decode()
    defined = set(re.findall(r"--([a-z0-9-]+):", css))
    marked = figures.marks({"transition": None}, [], [], None)
    sources = [figures.run_figures([], None, marked), figures.blank_figure()]
    asked = {token.replace("_", "-") for token in tokens(sources)}
    phases = ("warming_up", "adapting", "adapted", "turning", "past", "collapsed")
    asked |= {f"band-{phase.replace('_', '-')}" for phase in phases}
    asked |= {"transition", "transition-fill", "transition-maybe", "watch", "confirm"}
    assert asked <= defined


def tokens(value: object) -> set[str]:
    if isinstance(value, str):
        return {value[1:]} if value.startswith("@") else set()
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {token for item in items for token in tokens(item)}


def test_scripts_only_from_here_and_none_inline() -> None:
    policy = assets.CONTENT_SECURITY_POLICY
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "unsafe-eval" not in policy
