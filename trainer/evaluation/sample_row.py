"""One scored completion of one problem: a row, as files, the wire and the database hold it."""

from typing import NamedTuple

from trainer.verifiers import Score


class SampleRow(NamedTuple):
    """One completion with its score: 1 right, 0 wrong, None not decided, which the statistics count as wrong.

    `text` is the completion, `answer` what the judge read in it (None: nothing); rows of scores that others
    made may have neither.
    """

    problem_id: str
    sample: int
    score: Score
    tokens: int
    finish_reason: str
    seed: int
    text: str | None = None
    answer: str | None = None

    @property
    def brief(self) -> list[object]:
        """The row without its text, as the monitor takes it with an evaluation."""
        return list(self[:6])
