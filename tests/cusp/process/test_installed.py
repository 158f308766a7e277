"""Sentences say `pip install` as this Cusp was installed: a clone, a wheel, a repository, a package index."""

import json
import re
from pathlib import Path

import pytest

from cusp.process.installed import command

ROOT = Path(__file__).parents[3]
WRITTEN = re.compile(r"pip install.{0,12}cusp-rl")


@pytest.mark.parametrize(
    ("editable", "flag"), [({"editable": True}, "-e "), ({"editable": False}, ""), ({}, "")]
)
def test_a_clone_is_installed_again_with_the_extra(
    tmp_path: Path, editable: dict[str, bool], flag: str
) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    origin = json.dumps({"url": clone.as_uri(), "dir_info": editable})
    assert command(origin, "monitor") == f"pip install {flag}'{clone}[monitor]'"


def test_a_wheel_that_is_still_there_is_named_and_one_that_is_gone_is_not(tmp_path: Path) -> None:
    wheel = tmp_path / "cusp_rl-0.1.0-py3-none-any.whl"
    origin = json.dumps({"url": wheel.as_uri(), "archive_info": {}})
    assert command(origin, "trainer") == "pip install 'cusp-rl[trainer]'"
    wheel.touch()
    assert command(origin, "trainer") == f"pip install 'cusp-rl[trainer] @ {wheel.as_uri()}'"


@pytest.mark.parametrize("origin", [None, "", "{", "[]", '"x"', '{"url": 3}', '{"url": "file:"}'])
def test_an_origin_that_says_nothing_leaves_the_name(origin: str | None) -> None:
    assert re.fullmatch(r"pip install 'cusp-rl\[a,b\](?: @ .*)?'", command(origin, "a", "b"))


def test_no_sentence_has_the_command_written_by_hand() -> None:
    by_hand = [
        f"{file.relative_to(ROOT)}"
        for package in ("cusp", "monitor", "trainer", "webui")
        for file in (ROOT / package).rglob("*.py")
        if file.name != "installed.py" and WRITTEN.search(file.read_text())
    ]
    assert by_hand == []
