"""`--help` of every group of commands, as a person reads it in a terminal of 80 columns."""

import pytest
from typer.testing import CliRunner

from cusp.cli.app import app


@pytest.mark.parametrize("group", [[], ["db"], ["token"], ["webhook"], ["runs"], ["tasks"]])
def test_the_list_of_commands_says_whole_sentences(group: list[str]) -> None:
    shown = CliRunner().invoke(app, [*group, "--help"], env={"COLUMNS": "80"}).output
    listed = shown.partition("Commands:")[2]
    assert listed.strip(), shown
    assert [line for line in listed.splitlines() if line.rstrip().endswith("...")] == []
    assert listed.rstrip().endswith(".")
