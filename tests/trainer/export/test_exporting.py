"""An export holds what was kept, merged without a rounding that is not said, and nothing that runs code."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from cusp.checkpoints import manifest
from cusp.checkpoints.manifest import CheckpointError
from cusp.ids import new_id
from trainer.evaluation.adapters import AdapterError, loaded
from trainer.export.card import Facts
from trainer.export.exporting import Exported, ExportError, Wanted, export
from trainer.recipe import Recipe
from trainer.train import train
from trainer.training.model import load_base

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and peft, not ours
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def recipe(small: Callable[..., Recipe]) -> Recipe:
    return small("lora.lora_dropout=0.0", "grpo.learning_rate=0.01")


@pytest.fixture
def checkpoint(recipe: Recipe, cusp_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a small training, made once, in a folder of the test's own."""
    made = tmp_path_factory.getbasetemp() / "exported-run"
    run_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    if not made.exists():
        train(recipe, made, run_id=run_id, progress=lambda _: None)
    mine = tmp_path_factory.mktemp("run")
    shutil.copytree(made, mine, dirs_exist_ok=True)
    return mine / "checkpoint-4"


@pytest.fixture
def write(checkpoint: Path, cusp_dir: Path, tmp_path: Path) -> Callable[..., Exported]:
    """Exports the checkpoint to the test's folder `out`."""

    def run(facts: Facts | None = None, of: Path = checkpoint, **wanted: Any) -> Exported:
        into = tmp_path / "out"
        return export(of, into, Wanted("m", **wanted), cusp_dir / "cache", lambda _: None, facts)

    return run


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(torch.arange(8)[None]).logits
    return found.float()


def trained(recipe: Recipe, cusp_dir: Path, path: Path) -> torch.Tensor:
    base, _ = load_base(recipe, cusp_dir / "cache", lambda _: None)
    return logits(loaded(base, path))


def test_an_exported_adapter_is_the_trained_one_and_others_can_read_it(
    write: Callable[..., Exported], checkpoint: Path, recipe: Recipe, cusp_dir: Path
) -> None:
    (checkpoint / "extra.bin").write_bytes(b"no safetensors")
    (checkpoint / "manifest.json").unlink()
    made = write()
    into = Path(made.folder)
    assert torch.equal(trained(recipe, cusp_dir, into), trained(recipe, cusp_dir, checkpoint))
    names = {file.name for file in into.iterdir()}
    assert {WEIGHTS, "README.md", "recipe.yaml", "tokenizer.json", "manifest.json"} <= names
    assert not {name for name in names if name.endswith((".bin", ".pt", ".pth"))}
    readable = stat.S_IMODE(into.stat().st_mode) & 0o444
    assert {stat.S_IMODE(f.stat().st_mode) & 0o444 for f in into.iterdir()} == {readable}
    assert manifest.verify(into).sha256 == made.sha256
    assert f"--max-lora-rank 32 --lora-modules m={into}" in made.serve


def test_a_merged_model_is_base_and_adapter_and_needs_no_peft(
    write: Callable[..., Exported], checkpoint: Path, recipe: Recipe, cusp_dir: Path
) -> None:
    made = write(merged=True)
    plain = AutoModelForCausalLM.from_pretrained(made.folder, use_safetensors=True)
    assert torch.allclose(logits(plain), trained(recipe, cusp_dir, checkpoint), atol=1e-4)
    assert made.lost is not None
    assert made.lost < 1e-4
    assert made.serve == f"vllm serve {made.folder} --served-model-name m"


def test_the_loss_of_a_bfloat16_merge_is_that_of_the_stored_weights(
    write: Callable[..., Exported], checkpoint: Path, recipe: Recipe, cusp_dir: Path
) -> None:
    made = write(merged=True, dtype="bfloat16")
    base, _ = load_base(recipe, cusp_dir / "cache", lambda _: None)
    before, after = base.state_dict(), load_file(Path(made.folder) / "model.safetensors")
    adapter = load_file(checkpoint / WEIGHTS)
    lost = total = 0.0
    for name in (n for n in adapter if n.endswith("lora_A.weight")):
        key = name.removeprefix("base_model.model.").replace("lora_A.weight", "weight")
        other = adapter[name.replace("lora_A", "lora_B")]
        delta = (other.double() @ adapter[name].double()) * 128 / 32
        assert after[key].dtype == torch.bfloat16
        lost += float((after[key].double() - before[key].double() - delta).square().sum())
        total += float(delta.square().sum())
    assert made.lost is not None
    assert made.lost == pytest.approx((lost / total) ** 0.5, rel=1e-3)
    assert made.lost > 1e-3
    assert f"= {made.lost:.3g} is lost" in (Path(made.folder) / "README.md").read_text()


def test_a_card_says_what_was_measured(write: Callable[..., Exported]) -> None:
    checkpoint = {"id": new_id(), "aliases": ["best"]}
    run = {"name": "a | b", "id": new_id(), "words": "A transition.", "transition": None}
    scored = {
        "checkpoint_id": checkpoint["id"],
        "task": "sums",
        "split": "report",
        "pass_at_1": 0.5,
        "low": 0.4,
        "high": 0.6,
        "n_problems": 300,
        "n_samples": 600,
        "samples_per_problem": 2,
        "truncated_share": 0.25,
        "step": 10,
        "errors": 0,
    }
    comparison = {"reason": "Best of two.", "reference": {"role": "last", "step": 20}, "rows": []}
    of_another = {**scored, "checkpoint_id": new_id(), "task": "others"}
    made = write(Facts(run, checkpoint, [scored, of_another], comparison))
    text = (Path(made.folder) / "README.md").read_text()
    line = "| sums | report | 0.500 | 0.400 to 0.600 | not told | 300 x 2 | not told | 25.0% |"
    assert line in text
    assert "others" not in text
    for said in ("A transition.", "Best of two.", "a \\| b", "r 32, alpha 128", "tiny-base"):
        assert said in text, said
    assert ModelCard(text).data.license == "apache-2.0"  # type: ignore[attr-defined]
    assert ModelCard(text).data.library_name == "peft"  # type: ignore[attr-defined]


def _renamed(path: Path) -> None:
    tensors = load_file(path / WEIGHTS)
    save_file(
        {n.replace("model.model", "model._orig_mod.model"): t for n, t in tensors.items()},
        path / WEIGHTS,
    )


def _emptied(path: Path) -> None:  # what ZeRO-3 leaves where nothing was gathered
    save_file({n: torch.empty(0) for n in load_file(path / WEIGHTS)}, path / WEIGHTS)


def _header_only(path: Path) -> None:
    save_file({}, path / WEIGHTS)


def _without_one(path: Path) -> None:
    tensors = load_file(path / WEIGHTS)
    del tensors[min(tensors)]
    save_file(tensors, path / WEIGHTS)


def _of_another_shape(path: Path) -> None:
    tensors = load_file(path / WEIGHTS)
    name = next(n for n in tensors if "lora_B" in n)
    save_file({**tensors, name: torch.cat([tensors[name]] * 2)}, path / WEIGHTS)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            _renamed,
            r"14 are missing \(base_model.model.model.layers.0.*14 are unexpected.*torch.compile",
        ),
        (_emptied, "tensors without numbers.*ZeRO-3"),
        (_header_only, "ZeRO-3"),
        (_without_one, r"1 are missing \(base_model.model.model.layers.0.mlp.down_proj.lora_A"),
        (_of_another_shape, "shape|size mismatch"),
    ],
)
def test_what_is_no_adapter_of_its_base_is_refused(
    write: Callable[..., Exported],
    checkpoint: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    words: str,
    merged: bool,
) -> None:
    spoil(checkpoint)
    (checkpoint / "manifest.json").unlink()
    with pytest.raises(AdapterError, match=words):
        write(merged=merged)
    assert list(tmp_path.glob("*out*")) == [], "nothing is left behind"


def test_changed_weights_and_a_full_target_are_refused(
    write: Callable[..., Exported], checkpoint: Path, tmp_path: Path
) -> None:
    _without_one(checkpoint)
    with pytest.raises(CheckpointError, match="has changed"):
        write()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    (checkpoint / "manifest.json").unlink()
    with pytest.raises(ExportError, match="not empty"):
        write()
    assert (tmp_path / "out" / "mine").exists()


def test_without_its_base_the_names_alone_are_checked_and_that_is_said(
    write: Callable[..., Exported], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = (checkpoint / "adapter_config.json").read_text()
    named = config.split('"base_model_name_or_path": "')[1].split('"')[0]
    (checkpoint / "adapter_config.json").write_text(config.replace(named, "someone/not-here"))
    (checkpoint.parent / "recipe.yaml").unlink()
    (checkpoint / "manifest.json").unlink()
    text = (Path(write().folder) / "README.md").read_text()
    assert "were not compared with the base someone/not-here" in text
    assert "No recipe lies beside the checkpoint" in text


@pytest.mark.parametrize("name", ["adapter_model.bin"])
def test_a_pickle_is_never_opened(
    write: Callable[..., Exported], checkpoint: Path, name: str
) -> None:
    (checkpoint / WEIGHTS).rename(checkpoint / name)
    (checkpoint / "manifest.json").unlink()
    with pytest.raises(AdapterError, match="is a pickle"):
        write()
