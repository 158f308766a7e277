"""Held-out scores are read with the line and value of what is wrong in them."""

from pathlib import Path

import pytest

from monitor.replay.readers.checkpoint_scores import ScoresError, read_scores
from tests.monitor.replay.held_out import falling, scores, write_scores


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "scores.csv"
    file.write_text(text)
    return file


def test_scores_come_back_as_they_were_written(tmp_path: Path) -> None:
    told = scores(falling(150), problems=12)
    found = read_scores(write_scores(tmp_path / "a.csv", told))
    assert (found.problems, dict(found.scores), found.notes) == (told.problems, told.scores, ())


def test_columns_may_be_in_any_order_with_others_between(tmp_path: Path) -> None:
    file = written(tmp_path, "Score;prompt;Problem;STEP\n0.5;what is 1+1;a;10\n1;and 2+2;b;10\n\n")
    found = read_scores(file)
    assert (found.problems, dict(found.scores)) == (("a", "b"), {10: (0.5, 1.0)})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("10,a,1.5", "line 2: score '1.5' is not between 0 and 1"),
        ("10,a,", "line 2: score '' is not between 0 and 1"),
        ("10,a,nan", "line 2: score 'nan' is not between 0 and 1"),
        ("10,a,right", "line 2: score 'right' is not between 0 and 1"),
        ("10,a,1\nlast,a,1", "line 3: step 'last' is no step"),
        ("-5,a,1", "line 2: step '-5' is no step"),
        ("10.5,a,1", "line 2: step '10.5' is no step"),
        ("10,,1", "line 2: the problem has no name"),
        ("10,a,1\n20,a,0\n10,a,0", "line 4: problem 'a' of step 10 has a score already (line 2)"),
        ("", "has no scores"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_value(tmp_path: Path, rows: str, said: str) -> None:
    with pytest.raises(ScoresError) as error:
        read_scores(written(tmp_path, f"step,problem,score\n{rows}\n"))
    assert said in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_a_missing_column_is_named_with_those_found(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"no column 'problem' \(found: step, question, score\)"):
        read_scores(written(tmp_path, "step,question,score\n1,a,1\n"))
    with pytest.raises(ScoresError, match=r"no column 'step' \(found: nothing\)"):
        read_scores(written(tmp_path, ""))


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match="No such file"):
        read_scores(tmp_path / "absent.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\x80\x81")
    with pytest.raises(ScoresError, match="not UTF-8"):
        read_scores(binary)


def test_problems_that_a_checkpoint_lacks_are_named(tmp_path: Path) -> None:
    found = read_scores(written(tmp_path, "step,problem,score\n10,a,1\n10,b,0\n20,b,1\n"))
    assert found.scores == {10: (1.0, 0.0), 20: (None, 1.0)}
    assert found.notes == (
        "checkpoint 20 has scores of 1 of 2 problems (not of a); it is compared on those that both have",
    )
