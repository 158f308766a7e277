"""Exports a checkpoint into a folder: the adapter as it is, or merged, with its tokenizer and a model card.

What is read is hashed against the manifest before, and only safetensors is; the folder appears under its name
when it is whole, with a manifest of its own.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cusp.checkpoints import copies, manifest, rotation
from cusp.checkpoints.manifest import MANIFEST, CheckpointError, Manifest
from cusp.errors import NO_ROOM, CuspError
from cusp.run_config import RECIPE_FILE
from trainer.export import origin as origins
from trainer.export.card import Facts, Subject, card
from trainer.export.merging import Merged, merged
from trainer.export.origin import Origin
from trainer.recipe_loader import write_recipe

Say = Callable[[str], None]
# Ranks that vLLM 0.31 compiles kernels for; another one is served as the next greater.
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
NOTE = "export.json"  # of a finished export: what `Exported` says beside the manifest
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class ExportError(CuspError, ValueError):
    """The target folder cannot be used; the message says why."""


@dataclass(frozen=True)
class Exported:
    """An export: its folder, the sha256 of its manifest, its size, and what merging lost (None: not merged)."""

    folder: str
    sha256: str
    bytes: int
    merged: bool
    lost: float | None
    serve: str

    def as_result(self) -> dict[str, Any]:
        """Return it as the result of a job."""
        return asdict(self)


@dataclass(frozen=True)
class Wanted:
    """What to export: `merged` in `dtype` (None: the base's own), under `name`."""

    name: str
    merged: bool = False
    dtype: str | None = None


def export(
    checkpoint: Path, into: Path, wanted: Wanted, cache: Path, say: Say, facts: Facts | None = None
) -> Exported:
    """Write the export of a checkpoint's folder to the new folder `into`, and return what it is.

    Raises ExportError when `into` holds files, CheckpointError when a file of the checkpoint has changed,
    and AdapterError when the weights are not those of an adapter of the base.
    """
    found = _checked(checkpoint)
    _check_free(into)
    part = into.with_name(f".{into.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        origin = origins.origin_of(checkpoint, cache, say)
        whole, notes = _weights(checkpoint, part, origin, wanted, cache, say)
        subject = _subject(checkpoint, wanted, found, origin, whole, notes)
        (part / "README.md").write_text(card(subject, facts or Facts()), encoding="utf-8")
        _finish(part, origin, found, _noted(whole, _serve(checkpoint, into, wanted, origin)))
        part.rename(into)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise ExportError(f"the disk of {into.parent} is full; make room for it") from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    if (made := found_in(into)) is None:
        raise ExportError(f"{into} was changed while it was written; export again")
    return made


def _finish(part: Path, origin: Origin, found: Manifest | None, noted: dict[str, Any]) -> None:
    """Write recipe and note beside the weights, let others read all, and the manifest last."""
    if origin.recipe is not None:
        write_recipe(origin.recipe, part / RECIPE_FILE)
    (part / NOTE).write_text(json.dumps(noted, indent=1))
    copies.let_others_read(part)
    step, run_id = (found.step, found.run_id) if found is not None else (0, None)
    manifest.write_manifest(part, step, run_id=run_id)


def found_in(into: Path) -> Exported | None:
    """Return the finished export in a folder, hashed; None if there is no whole one."""
    try:
        whole = manifest.verify(into)
        noted = json.loads((into / NOTE).read_text(encoding="utf-8"))
        lost, serve = noted["lost"], str(noted["serve"])
        return Exported(str(into), whole.sha256, whole.bytes, bool(noted["merged"]), lost, serve)
    except (CheckpointError, OSError, ValueError, KeyError, TypeError):
        return None


def _noted(whole: Merged | None, serve: str) -> dict[str, Any]:
    lost = whole.error if whole is not None else None
    return {"merged": whole is not None, "lost": lost, "serve": serve}


def name_of(run: str, step: int) -> str:
    """Return the name that vLLM serves an export under: letters, digits, dots, dashes.

    >>> name_of("open rs2/seed 7", 450)
    'open-rs2-seed-7-450'
    """
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', run).strip('-') or 'run'}-{step}"


def _checked(checkpoint: Path) -> Manifest | None:
    """Return the verified manifest, None for a folder that was never registered."""
    if not checkpoint.is_dir():
        raise ExportError(f"{checkpoint} is no folder; name a checkpoint's, or a run")
    return manifest.verify(checkpoint) if (checkpoint / MANIFEST).is_file() else None


def _check_free(into: Path) -> None:
    if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
        raise ExportError(f"{into} exists and is not empty; name a new folder")
    if into.is_dir():
        into.rmdir()


def _weights(
    checkpoint: Path, part: Path, origin: Origin, wanted: Wanted, cache: Path, say: Say
) -> tuple[Merged | None, tuple[str, ...]]:
    """Write weights, configuration and tokenizer; return the merged model's measures, and notes."""
    if not wanted.merged:
        doubt = origins.check_fit(checkpoint, origin)
        _copy(checkpoint, part, lambda name: True)
        if doubt:
            say(doubt)
        return None, (f"Not checked: {doubt}.",) if doubt else ()
    base, tokenizer = origins.base_model(origin, cache, say)
    whole = merged(base, checkpoint, origin, wanted.dtype)
    whole.model.save_pretrained(part, safe_serialization=True)
    tokenizer.save_pretrained(part)
    _copy(checkpoint, part, _is_of_tokenizer)  # the training's own, where it was saved
    return whole, ()


def _copy(checkpoint: Path, part: Path, wanted: Callable[[str], bool]) -> None:
    """Copy the checkpoint's files but those that only resuming needs, pickles and its card."""
    for file in manifest.files_of(checkpoint):
        name = str(file.relative_to(checkpoint))
        if not wanted(name) or not rotation.is_weights(name) or name == "README.md":
            continue
        if name.endswith(_PICKLES):
            continue
        (part / name).unlink(missing_ok=True)
        copies.copy(file, part / name)


def _is_of_tokenizer(name: str) -> bool:
    return name.startswith(
        ("tokenizer", "chat_template", "special_tokens", "vocab", "merges", "added_tokens")
    )


def _subject(
    checkpoint: Path,
    wanted: Wanted,
    found: Manifest | None,
    origin: Origin,
    whole: Merged | None,
    notes: tuple[str, ...],
) -> Subject:
    return Subject(
        name=wanted.name,
        step=found.step if found is not None else None,
        sha256=found.sha256 if found is not None else "none: it was never registered",
        origin=origin,
        serve=_serve(checkpoint, None, wanted, origin),
        merged=whole,
        notes=notes,
    )


def _serve(checkpoint: Path, into: Path | None, wanted: Wanted, origin: Origin) -> str:
    """Return the command that serves the export with vLLM; without `into`, from within its folder."""
    folder = into.absolute() if into is not None else '"$PWD"'
    if wanted.merged:
        return f"vllm serve {folder} --served-model-name {wanted.name}"
    rank = origins.rank_of(checkpoint)
    rank = next((each for each in VLLM_RANKS if each >= rank), rank)
    base = Path(origin.name).absolute() if origin.is_local else origin.name
    revision = f" --revision {origin.revision}" if origin.revision else ""
    return (
        f"vllm serve {base}{revision} --enable-lora --max-lora-rank {rank}"
        f" --lora-modules {wanted.name}={folder}"
    )
