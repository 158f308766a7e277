"""Tokens a second of the engines hf, vllm and openai, side by side on one box.

.venv-vllm/bin/python -m benchmarks.evaluation.engines [--recipe smol|tiny] [--engines vllm,openai] [--quick]
    [--rounds N] [--problems N] [--tokens N] [--json FILE]

All have the same base model and adapter, and make the same greedy completions (which is checked) of the same
problems, in turn: a load of the box meets all. Loading is not counted. CPU seconds are those of the engine's processes,
`vllm serve` included. On a box that has no room for two vLLMs `--engines` takes one at a time beside hf. The ratio is
the median over rounds of tokens a second to those of `hf` in that round. Needs the environment of `make test-vllm`.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.vllm.servers import KEY, random_adapters, serving
from trainer.evaluation.engines import Engine, Request, sample_seed
from trainer.evaluation.engines.of_section import engine_of
from trainer.evaluation.tasks import tasks_of
from trainer.recipe import HfEngine, OpenAIEngine, Recipe, Sampling, VllmEngine
from trainer.recipe_loader import load_recipe
from trainer.training.model import load_base, located

BATCH = 32  # of hf, and in flight at the server; vLLM takes all
LENGTH = 512  # of prompt and completion


class Spent(NamedTuple):
    """What one engine took for all requests of a round."""

    tokens: int
    seconds: float
    cpu_s: float
    texts: tuple[tuple[int, ...], ...]


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of all below it that live."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(place.name)], ticks[int(place.name)] = (
            int(fields[1]),
            sum(map(int, fields[11:13])),
        )
    own, found = {os.getpid()}, 0
    while len(own) > found:
        found = len(own)
        own |= {each for each, parent in parents.items() if parent in own}
    return sum(ticks.get(each, 0) for each in own) / os.sysconf("SC_CLK_TCK")


def generated(
    engine: Engine, adapter: Path, requests: Sequence[Request], sampling: Sampling
) -> Spent:
    """Return what the completions took."""
    begun, cpu = time.monotonic(), cpu_seconds()
    done = [one for each in engine.completions(adapter, requests, sampling) for one in each]
    took = time.monotonic() - begun, cpu_seconds() - cpu
    ids = tuple(one.token_ids for _, one in sorted(done))
    return Spent(sum(one.tokens for _, one in done), *took, ids)


@contextmanager
def engines(recipe: Recipe, folder: Path, kinds: Sequence[str]) -> Iterator[dict[str, Engine]]:
    """Yield hf and these engines of a recipe's base model, each where a server answers."""
    cache = folder / "cache"
    name = located(recipe, cache, print).name
    os.environ["CUSP_EVALUATION_KEY"] = KEY
    with ExitStack() as stack:

        def served() -> OpenAIEngine:
            server = stack.enter_context(serving(Path(name), folder / "log", LENGTH))
            return OpenAIEngine(kind="openai", base_url=f"{server.wait()}/v1", model=name)

        ways: dict[str, Callable[[], HfEngine | VllmEngine | OpenAIEngine]] = {
            "hf": lambda: HfEngine(kind="hf"),
            "vllm": lambda: VllmEngine(
                kind="vllm", gpu_memory_utilization=0.3, max_model_len=LENGTH
            ),
            "openai": served,
        }
        made: dict[str, Engine] = {}
        for kind in ("hf", *kinds):
            options = ways[kind]()
            made[kind] = engine_of(recipe, options, cache, place=lambda _: "cpu", say=print)
            stack.callback(made[kind].close)
        yield made


def measured(options: argparse.Namespace, folder: Path) -> dict[str, list[Spent]]:
    """Return what each engine took in each round."""
    changes = [f"evaluation.selection_problems={options.problems}"]
    if options.recipe == "smol":
        changes.append("model.warm_start=null")
    recipe = load_recipe(options.recipe, changes)
    task = tasks_of(recipe).selection
    sampling = Sampling(
        samples_per_problem=1,
        max_new_tokens=options.tokens,
        temperature=0.0,
        top_p=1.0,
        batch_size=BATCH,
    )
    model, tokenizer = load_base(recipe, folder / "cache", print)
    adapter = random_adapters(model, folder, 0.05)[0]
    requests = [
        Request(
            tokenizer.apply_chat_template(
                list(one.messages), tokenize=False, add_generation_prompt=True
            ),
            sample_seed(0, task.name, one.id, 0),
        )
        for one in task.problems
    ]
    found: dict[str, list[Spent]] = {}
    with engines(recipe, folder, options.engines) as made:
        for kind, engine in made.items():  # loads the model and the adapter
            generated(engine, adapter, requests[:2], sampling)
            found[kind] = []
        for number in range(options.rounds):
            first = number % len(made)
            turned = list(made)[first:] + list(made)[:first]
            for kind in turned:
                found[kind].append(generated(made[kind], adapter, requests, sampling))
    return found


def main() -> None:
    """Print a row an engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=("smol", "tiny"), default="smol")
    parser.add_argument("--engines", type=lambda text: text.split(","), default=["vllm", "openai"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.problems, options.tokens = 1, 8, 16
    with tempfile.TemporaryDirectory() as place:
        found = measured(options, Path(place))
    print(f"| {'engine':<6} | tokens | tokens/s | ratio | tokens a CPU second | ratio | as hf |")
    print("|---|---|---|---|---|---|---|")
    told = {}
    for kind, rounds in found.items():
        wall = [each.tokens / each.seconds for each in rounds]
        cpu = [each.tokens / each.cpu_s for each in rounds]
        first = found["hf"]
        ratios = [
            statistics.median(
                own / (hf.tokens / seconds)
                for own, hf, seconds in zip(each, first, of, strict=True)
            )
            for each, of in (
                (wall, [one.seconds for one in first]),
                (cpu, [one.cpu_s for one in first]),
            )
        ]
        same = sum(a == b for a, b in zip(rounds[0].texts, first[0].texts, strict=True))
        middle = statistics.median(wall), statistics.median(cpu)
        print(
            f"| {kind:<6} | {rounds[0].tokens:,} | {middle[0]:.0f} | {ratios[0]:.2f} | {middle[1]:.0f}"
            f" | {ratios[1]:.2f} | {same} of {len(rounds[0].texts)} |"
        )
        told[kind] = {"wall": wall, "cpu": cpu, "ratios": ratios, "same": same}
    if options.json:
        options.json.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
