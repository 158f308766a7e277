"""Scores that anyone brings: the rows of an evaluation, the bounds of their texts, and their portions."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field

from cusp.protocol.fields import (
    MAX_NAME_LENGTH,
    NO_NUL,
    NUMBER,
    Body,
    Finite,
    Id,
    Name,
    Share,
    Step,
    Wire,
    storable,
    storable_text,
)

MAX_SAMPLE = 32_767  # samples are small integers in the database
MAX_ROWS = (
    20_000  # of one post or message; further ones go into the next, under the same evaluation_id
)
MAX_INT = 2**31 - 1
# A reasoning trace of 5,000 tokens is kept whole; of a longer one its beginning, and its end with the answer.
MAX_ROW_TEXT, MAX_ANSWER = 20_000, 2_000
MOST_SENT = 1_000_000  # characters of a text as it is sent; it is cut when it is stored
PORTION_BYTES = (
    250_000  # of rows in a message: a fourth of a batch, which must not wait for one line
)
_CUT = "\n[… {left:,} characters left out …]\n"

One = TypeVar("One")
Count = Annotated[int, Field(ge=0, le=MAX_INT), NUMBER]
LongText = Annotated[
    str, Field(max_length=MOST_SENT, json_schema_extra=NO_NUL), AfterValidator(storable)
]


class PostedRow(Body):
    """One scored sample of one problem; what is null or absent was not told.

    `score` is from 0 (wrong) to 1 (right), null where the judge could not decide. `text` is the completion, `answer`
    what the judge read in it.
    """

    model_config = ConfigDict(frozen=True)

    problem_id: Name
    sample: Annotated[int, Field(ge=0, le=MAX_SAMPLE), NUMBER] = 0
    score: Share | None
    tokens: Count | None = None
    finish_reason: Annotated[str, Field(max_length=16, pattern=r"^[ -~]*$")] | None = None
    seed: Annotated[int, Field(ge=0, le=2**53), NUMBER] | None = None
    text: LongText | None = None
    answer: LongText | None = None


def repeated(places: Iterable[tuple[str, int]]) -> str | None:
    """Return what is wrong where a (problem, sample) is there twice, else None."""
    seen: set[tuple[str, int]] = set()
    for pair in places:
        if pair in seen:
            return f"sample {pair[1]} of problem {pair[0]!r} is there twice; number the samples of a problem from 0"
        seen.add(pair)
    return None


class PostedProblem(Body):
    """A problem of a task, so that it can be shown: what was asked, and the gold answer."""

    model_config = ConfigDict(frozen=True)

    problem_id: Name
    question: LongText
    gold: LongText = ""


class Posted(Wire):
    """An evaluation that is no job's: rows, or only an aggregate (`pass_at_1` of `n_problems`).

    The checkpoint is named by id or step; step 0 is the base model. Rows posted under a known `evaluation_id`
    are added to it, so it may come in portions (of whole problems); a row that is there stays as it is. `source`
    says where the scores are from.
    """

    evaluation_id: Id
    checkpoint_id: Id | None = None
    step: Step | None = None
    task: Name
    split: Literal["selection", "report"] = "report"
    source: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_:.-]{0,31}$")] = "rest"
    preset: Name | None = None
    engine: Name | None = None
    rows: Annotated[list[PostedRow], Field(max_length=MAX_ROWS)] = []
    problems: Annotated[list[PostedProblem], Field(max_length=MAX_ROWS)] = []
    pass_at_1: Share | None = None
    n_problems: Annotated[int, Field(ge=1, le=MAX_INT), NUMBER] | None = None
    mean_tokens: Annotated[Finite, Field(ge=0)] | None = None

    @property
    def lack(self) -> str | None:
        """What keeps it from being an evaluation, None if nothing does; no JSON schema could say it."""
        if self.step is None and self.checkpoint_id is None:
            return "name the checkpoint by its checkpoint_id or its step (0: the base model)"
        if not self.rows and (self.pass_at_1 is None or self.n_problems is None):
            return "send rows, or pass_at_1 and n_problems where there are none"
        if self.rows and self.pass_at_1 is not None:
            return "send rows or pass_at_1, not both: it is computed from the rows"
        return None


class EvaluationMessage(Posted):
    """Scores that the training itself, or a program beside it, made of a checkpoint."""

    kind: Literal["evaluation"] = "evaluation"


def cut(text: str, most: int = MAX_ROW_TEXT) -> str:
    """Return the text, or of a longer one head and tail with a mark between them, `most` characters at most.

    >>> cut("a" * 60 + "b" * 60, 100)[:20], len(cut("a" * 200, 100)) <= 100
    ('aaaaaaaaaaaaaaaaaaaa', True)
    """
    if len(text) <= most:
        return text
    kept = max(most - len(_CUT.format(left=len(text))), 2)
    head, tail = kept // 2, kept - kept // 2
    return text[:head] + _CUT.format(left=len(text) - kept) + text[-tail:]


def sendable_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with its texts cut and cleaned for storage, without what is None."""
    made = {name: value for name, value in row.items() if value is not None or name == "score"}
    for name, most in (("text", MAX_ROW_TEXT), ("answer", MAX_ANSWER)):
        if name in made:
            made[name] = cut(storable_text(str(made[name])), most)
    return made


def problem_name(name: object) -> str:
    """Return the name of a problem as it can be stored: a long one is cut, with a hash to tell it apart.

    >>> problem_name(7), len(problem_name("x" * 300))
    ('7', 200)
    """
    text = storable_text(str(name)) or "unnamed"
    if len(text) <= MAX_NAME_LENGTH:
        return text
    mark = "~" + hashlib.sha256(text.encode()).hexdigest()[:12]
    return text[: MAX_NAME_LENGTH - len(mark)] + mark


def portions(
    rows: Sequence[One],
    size: Callable[[One], int],
    most_bytes: int = PORTION_BYTES,
    most: int = MAX_ROWS,
) -> Iterator[list[One]]:
    """Yield the rows in order, as many at a time as `size` (bytes of one) allows, at least one.

    >>> list(portions(["aa", "b", "ccc"], len, 3))
    [['aa', 'b'], ['ccc']]
    """
    part: list[One] = []
    total = 0
    for row in rows:
        if part and (total + size(row) > most_bytes or len(part) >= most):
            yield part
            part, total = [], 0
        part.append(row)
        total += size(row)
    if part:
        yield part
