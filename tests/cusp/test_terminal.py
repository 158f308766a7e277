"""What a plain loop prints must not end it, nor get among what it prints itself, whatever its streams are."""

import sys
from pathlib import Path

import pytest

import cusp
from cusp import terminal


class Logged:
    """What people put in the place of a stream: it takes text, and is nothing else of a file."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUSP_MODE", "offline")
    monkeypatch.setenv("CUSP_DIR", str(tmp_path))


def test_a_loop_whose_standard_error_is_half_a_stream_is_told_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged = Logged()
    monkeypatch.setattr(sys, "stderr", logged)
    run = cusp.init(name="plain")
    run.log({"reward": 1.0}, step=1)
    run.finish()
    assert "cusp: plain is recorded in" in logged.text


def test_a_loop_without_a_standard_error_keeps_its_output_to_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    cusp.init(name="plain").finish()
    assert capsys.readouterr().out == ""


def test_a_secret_that_cannot_be_read_any_more_ends_no_loop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUSP_TOKEN_FILE", str(tmp_path / "taken-away"))
    terminal.say("still here")
    monkeypatch.setenv("CUSP_DIR", "~nobody-of-this-name/data")
    terminal.say("here, too")
    monkeypatch.setenv("CUSP_SILENT", "1")
    terminal.say("not this")
    assert capsys.readouterr().out == "cusp: still here\ncusp: here, too\n"


def test_a_reward_that_was_not_given_in_the_first_step_has_its_role_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # What TRL logs of a function that returned None for every completion, as it may.
    first = {"rewards/format_reward/mean": None, "rewards/format_reward/std": None, "loss": 0.1}
    terminal.roles_seen(first, cusp.RunMetadata())
    said = capsys.readouterr().out
    assert "Format reward: rewards/format_reward/mean (by name)" in said
    assert "none found" not in said.partition("Accuracy reward")[0]
