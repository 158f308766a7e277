"""`cusp demo`: the whole loop on this machine, every part real and each in its own process."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cusp import settings
from cusp.client import Client, ClientError
from cusp.commands.children import Children, Tail, free_port, last_lines
from cusp.commands.output import console
from cusp.commands.summary import print_summary, summarised
from cusp.ids import new_id

CONDITIONS = (
    "Conditions: six of ten problems are beyond the base model and longer wrong answers are penalised"
    " less, chosen so that a transition can happen; nothing is scripted. `--healthy` is the control."
)
HEALTHY = (
    "Conditions: the control. The same training without what provokes a transition; nothing should be"
    " stopped."
)
POLL_S = 0.5
Json = dict[str, Any]


class DemoFailed(RuntimeError):
    """A part of the demo ended early; the message says which and what it said last."""


@dataclass
class Demo:
    """What the steps of one demo share."""

    out: Console
    client: Client
    children: Children
    run_id: str
    seconds: dict[str, float]


def demo(
    seed: Annotated[int, typer.Option(help="Seed of the training.", min=0, max=2**32 - 1)] = 0,
    no_stop: Annotated[
        bool, typer.Option("--no-stop", help="Train to the end and score every checkpoint.")
    ] = False,
    healthy: Annotated[
        bool, typer.Option("--healthy", help="The control: nothing may be stopped.")
    ] = False,
    leave: Annotated[
        bool, typer.Option("--exit", help="End after the summary instead of at Ctrl-C.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the summary as JSON to this file.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard; another if in use.")] = 8787,
    monitor: Annotated[
        str | None,
        typer.Option(help="URL of a monitor that runs already, instead of starting one."),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Data folder (CUSP_DIR, default ~/.cusp).")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe value.")
    ] = None,
) -> None:
    """Train a tiny model with real TRL GRPO-LoRA here, and watch Cusp act on it.

    Example: cusp demo --seed 3 --exit --json out.json
    """
    for ending in (signal.SIGTERM, signal.SIGHUP):  # like Ctrl-C: the parts are ended in order
        signal.signal(ending, signal.default_int_handler)
    out = console()
    given = settings.from_environment()
    home = directory.absolute() if directory else given.directory
    if json_file is not None:
        _check_writable(json_file)
    chosen = None if monitor else free_port(port)
    if chosen not in (None, port):
        out.print(f"port {port} is in use; taking {chosen}")
    url = monitor.rstrip("/") if monitor else f"http://127.0.0.1:{chosen}"
    given = replace(given, url=url, directory=home)
    environment = {
        "CUSP_DIR": str(home),
        "CUSP_URL": given.url,
        "CUSP_RUN_ID": "",
        "OMP_NUM_THREADS": "1",  # a tiny model is up to 40 times slower on two threads under load
        "HF_HUB_OFFLINE": "1",
    }
    run_id = new_id()
    with Client(given) as client, Children(environment, home / "logs" / run_id) as children:
        parts = Demo(out, client, children, run_id, {})
        recipe = _recipe(seed, no_stop=no_stop, healthy=healthy, overrides=override or [])
        out.print(HEALTHY if healthy else CONDITIONS)
        try:
            result = _play(parts, recipe, home, chosen)
            if json_file is not None:
                json_file.write_text(json.dumps(result, indent=2) + "\n")
            print_summary(out, result)
            if not leave:
                out.print(f"\nThe dashboard stays at {parts.client.url} until Ctrl-C.")
                signal.pause()
        except KeyboardInterrupt:
            out.print("\nending")
            raise typer.Exit(0 if parts.seconds.get("total") else 130) from None


def _play(parts: Demo, recipe: list[str], home: Path, port: int | None) -> Json:
    """Run the parts one after another and return the summary."""
    started = time.monotonic()
    _start_monitor(parts, home, port)
    parts.seconds["monitor"] = round(time.monotonic() - started, 1)
    trainer, log = parts.children.start("trainer", "train", *recipe, "--run-id", parts.run_id)
    worker, worker_log = parts.children.start("worker", "worker")
    _follow_training(parts, trainer, log)
    _follow_evaluation(parts, worker, worker_log)
    parts.seconds["total"] = round(time.monotonic() - started, 1)
    return summarised(parts.client, parts.run_id, parts.seconds)


def _start_monitor(parts: Demo, home: Path, port: int | None) -> None:
    """Start a monitor on the port, or make sure that the one given answers."""
    if port is None:
        parts.client.get("/runs")
    else:
        arguments = ("serve", "--port", str(port), "--dir", str(home))
        monitor, log = parts.children.start("monitor", *arguments)
        while not parts.client.ready():
            _check(monitor, log, "the monitor")
            time.sleep(0.1)
    parts.out.print(f"Dashboard: [bold]{parts.client.url}[/]")


def _follow_training(parts: Demo, trainer: "subprocess.Popen[bytes]", log: Path) -> None:
    """Show the trainer's lines and the monitor's news until the training has ended."""
    begun = time.monotonic()
    announced = 0.0
    tail, news = Tail(log), News()
    while True:
        ended = trainer.poll() is not None
        for line in tail.lines():
            parts.out.print(f"  {line}", markup=False)
        run = _run(parts)
        if run and not announced:
            announced = time.monotonic()
            parts.seconds["base_model"] = round(announced - begun, 1)
            parts.out.print(f"Run page: [bold]{parts.client.url}/runs/{parts.run_id}[/]")
        for line in news.of(run):
            parts.out.print(line, style="bold")
        if ended:
            break
        time.sleep(POLL_S)
    if trainer.returncode != 0 or not run:
        raise DemoFailed(f"the training failed:\n{last_lines(log)}\n(whole log: {log})")
    parts.seconds["training"] = round(time.monotonic() - announced, 1)


def _follow_evaluation(parts: Demo, worker: "subprocess.Popen[bytes]", log: Path) -> None:
    """Show how far the candidates' evaluation is until its job has ended."""
    begun, shown = time.monotonic(), ""
    while True:
        jobs = parts.client.get("/jobs", run_id=parts.run_id)["jobs"]
        if not jobs:
            parts.out.print("no checkpoint was saved, so there is nothing to evaluate")
            return
        job = jobs[0]
        progress = job["progress"] or {}
        line = f"  evaluating {progress.get('done', 0)} of {progress.get('total', '?')}"
        if progress and line != shown:
            parts.out.print(f"{line}: {progress['text']}", markup=False)
            shown = line
        if job["state"] == "failed":
            raise DemoFailed(f"the evaluation failed: {job['error']} (log: {log})")
        if job["state"] == "done":
            break
        _check(worker, log, "the worker")
        time.sleep(POLL_S)
    parts.seconds["evaluation"] = round(time.monotonic() - begun, 1)


class News:
    """What is new about a run since the last look, in lines."""

    def __init__(self) -> None:
        self._phase = ""
        self._known: set[str] = set()

    def of(self, run: Json | None) -> Iterator[str]:
        """Yield a line for a new phase, decision or command state."""
        if not run:
            return
        if run["phase"] != self._phase and run["step"]:
            self._phase = run["phase"]
            yield f"  step {run['step']}: {run['phase'].replace('_', ' ')}. {run['words']}"
        for decision in run["decisions"]:
            if self._new(decision["id"]):
                yield f"  decision: {decision['kind']}. {decision['reason']}"
        for command in run["commands"]:
            if self._new(command["id"] + command["state"]):
                yield f"  {command['kind']} command {command['state']}"

    def _new(self, key: str) -> bool:
        fresh = key not in self._known
        self._known.add(key)
        return fresh


def _recipe(seed: int, *, no_stop: bool, healthy: bool, overrides: list[str]) -> list[str]:
    name = "healthy" if healthy else "seed"
    recipe = ["tiny_healthy" if healthy else "tiny", f"seed={seed}", f"run.name={name}-{seed}"]
    if no_stop:
        recipe += ["run.policy.action=watch", "run.policy.evaluate=all"]
    return [*recipe, *overrides]


def _run(parts: Demo) -> Json | None:
    try:
        return parts.client.get(f"/runs/{parts.run_id}")
    except ClientError:
        return None


def _check(process: "subprocess.Popen[bytes]", log: Path, name: str) -> None:
    if process.poll() is not None:
        raise DemoFailed(f"{name} ended early:\n{last_lines(log)}\n(whole log: {log})")


def _check_writable(path: Path) -> None:
    """Find out now, not after minutes, that the summary cannot be written."""
    try:
        path.open("a").close()
    except OSError as error:
        raise ValueError(f"cannot write {path} ({error.strerror}); name another file") from error
