"""Recognises files that are not logs, and describes them with the way out."""

from collections.abc import Iterator

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture; give the numbers it was drawn from"),
    (b"\xff\xd8\xff", "a JPEG picture; give the numbers it was drawn from"),
    (b"%PDF", "a PDF; give the numbers in it as a CSV"),
    (b"PAR1", "a Parquet file; write it as a CSV (pandas: read_parquet, then to_csv)"),
    (b"SQLite format 3\0", "an SQLite database; export the run's metrics as a CSV"),
    (b"\x80\x02", "a pickle, which is never opened; give trainer_state.json or a CSV"),
    (b"\x80\x04", "a pickle, which is never opened; give trainer_state.json or a CSV"),
    (b"\x80\x05", "a pickle, which is never opened; give trainer_state.json or a CSV"),
    (
        b"PK\x03\x04",
        "a zip archive (of an Excel sheet or of torch, most likely); give the log in it",
    ),
    (b":W&B", "W&B's own binary file; export the run's history as a CSV (wandb: run.history)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel sheet; save it as a CSV"),
)
_TENSORBOARD = b"brain.Event:"


def binary_kind(raw: bytes) -> str | None:
    """Return a description of a binary file, None if its format is unknown.

    >>> binary_kind(b"%PDF-1.7")
    'a PDF; give the numbers in it as a CSV'
    """
    for magic, words in _MAGIC:
        if raw.startswith(magic):
            return words
    if _TENSORBOARD in raw[:64]:
        return (
            "a TensorBoard event file; give trainer_state.json, or its scalars as one CSV with a column"
            " `step` and a column for each tag"
        )
    length = int.from_bytes(raw[:8], "little")
    if raw[8:9] == b"{" and length < 100_000_000:
        return "a safetensors file: weights, no log; give the trainer_state.json beside it"
    return None


def text_kind(text: str, name: str) -> str | None:
    """Return a description of a text without log rows, None if it may still be a table."""
    return next(_kinds(text, name), None)


def _kinds(text: str, name: str) -> Iterator[str]:
    start = text.lstrip()[:2_000]
    if name.endswith((".py", ".sh", ".js")) or start.startswith(("#!", "import ", "from ")):
        yield "a program; give the log that it wrote"
    if start.lower().startswith(("<!doctype html", "<html")):
        yield "a web page without a table of steps in it; save the table as a CSV"
    if name.endswith((".md", ".rst")):
        yield "a text for people; give the log it tells of"
    if name.endswith((".yaml", ".yml", ".toml", ".ini")):
        yield "a configuration, no log; give trainer_state.json or a CSV"
    if "Traceback (most recent call last)" in text:
        yield "the output of a program that failed before it logged a step"


def json_kind(document: dict[str, object]) -> str | None:
    """Return a description of a JSON object that is not a log, None if it may be one."""
    keys = document.keys()
    if {"peft_type"} & keys:
        return "an adapter's configuration, no log; give the trainer_state.json beside it"
    if {"architectures", "model_type"} & keys:
        return "a model's configuration, no log; give the trainer_state.json beside it"
    if {"weight_map"} & keys:
        return "an index of weights, no log; give the trainer_state.json beside it"
    if {"added_tokens", "tokenizer_class"} & keys:
        return "a tokenizer's file, no log; give the trainer_state.json beside it"
    return None
