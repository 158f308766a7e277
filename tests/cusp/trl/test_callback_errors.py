"""What goes wrong at the start of a training is said, and the training goes on."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import TrainerControl

from cusp.trl.callback import CuspCallback


def begin(args: object) -> None:
    """Begin a training with these arguments."""
    given: Any = args
    state: Any = SimpleNamespace(is_world_process_zero=True, global_step=0, max_steps=1)
    CuspCallback().on_train_begin(given, state, TrainerControl())


def test_a_fault_of_ours_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "cusp"):
        begin(object())  # no arguments of a trainer: whatever is read off them fails
    (record,) = (one for one in caplog.records if one.levelno == logging.ERROR)
    assert record.exc_info is not None
    assert "AttributeError" in caplog.text
    assert "Traceback" in caplog.text


def test_what_a_person_can_mend_is_a_sentence(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from transformers import TrainingArguments

    monkeypatch.setenv("CUSP_DIR", "/proc/none")
    with caplog.at_level(logging.ERROR, "cusp"):
        begin(TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]))
    (record,) = (one for one in caplog.records if one.levelno == logging.ERROR)
    assert not record.exc_info
    assert "/proc/none" in record.getMessage()
    assert "set CUSP_DIR" in record.getMessage()
