"""`cusp demo`: the whole loop on this machine, with real parts, each in its own process."""

import json
import re
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cusp import settings
from cusp.cli.demo.news import News
from cusp.cli.demo.processes import Child, Children, Tail, free_port, last_lines
from cusp.cli.demo.summary import print_summary, summarised
from cusp.cli.support.output import console
from cusp.cli.support.requirements import need
from cusp.cli.train import REBUILD_BASE
from cusp.client import Client, ClientError
from cusp.errors import CuspError
from cusp.ids import new_id
from cusp.process.machine import absolute

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
NO_TRANSITION, FAILED, INTERRUPTED = 3, 4, 130  # exit statuses (docs/reference/demo.md)
SILENT_S = 60.0
QUIET_S = (
    5.0  # without a line before the training is there, after which one says that it is starting
)
_ADDRESS = re.compile(r" at (http://\S+) ")


class NotWritable(CuspError, ValueError):
    """The summary file is not writable."""


class DemoFailed(CuspError, RuntimeError):
    """A part of the demo failed; the message names it and quotes its last output."""

    status = FAILED


@dataclass
class Demo:
    """State shared by the steps of one demo."""

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
        bool,
        typer.Option("--exit", help="End after the summary: 0 kept, 3 no transition, 4 failed."),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the summary as JSON to this file.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard; another if in use.")] = 8787,
    monitor: Annotated[
        str | None,
        typer.Option(help="URL of a monitor that runs already, instead of starting one."),
    ] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="Data folder (CUSP_DIR).")] = None,
    rebuild_base: Annotated[
        bool,
        typer.Option("--rebuild-base", help="Train the base model here, not take the shipped one."),
    ] = False,
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe value.")
    ] = None,
) -> None:
    """Train a tiny model with real TRL GRPO-LoRA here, and watch Cusp act on it.

    Example: cusp demo --seed 3 --exit --json out.json
    """
    need("demo", *([] if monitor else ["monitor"]), "trainer")
    for ending in (signal.SIGTERM, signal.SIGHUP):  # like Ctrl-C: an orderly shutdown
        signal.signal(ending, signal.default_int_handler)
    out = console()
    given = settings.from_environment()
    home = absolute(directory, "--dir") if directory else given.directory
    given = replace(given, directory=home, url=monitor.rstrip("/") if monitor else given.url)
    if json_file is not None:
        _check_writable(json_file)
    changes = [*([REBUILD_BASE] if rebuild_base else []), *(override or [])]
    recipe = _recipe(seed, no_stop=no_stop, healthy=healthy, overrides=changes)
    run_id = new_id()
    try:
        with ExitStack() as stack:
            children = stack.enter_context(Children(_environment(home), home / "logs" / run_id))
            out.print(HEALTHY if healthy else CONDITIONS)
            started = time.monotonic()
            if monitor is None:
                out.print("starting the monitor")
                given = replace(given, url=_own_monitor(out, children, port, home), public_url=None)
            client = stack.enter_context(Client(given))
            parts = Demo(out, client, children, run_id, {})
            result = _play(parts, recipe, started)
            if json_file is not None:
                json_file.write_text(json.dumps(result, indent=2) + "\n")
            print_summary(out, result)
            if not leave:
                _stay(parts)
    except KeyboardInterrupt:
        out.print(f"ended. What there is of run {run_id} stays in {home}; look at it with:")
        out.print(f"  cusp serve --dir {home}")
        raise typer.Exit(INTERRUPTED) from None
    if leave:
        raise typer.Exit(exit_status(result))


def exit_status(result: Json) -> int:
    """Return the exit status for `--exit`: 0 if a transition was found and a checkpoint kept."""
    if result["evaluation_error"]:
        return FAILED
    kept = result["transition"] and result["kept_checkpoint_step"] is not None
    return 0 if kept else NO_TRANSITION


def _environment(home: Path) -> dict[str, str]:
    return {
        "CUSP_DIR": str(home),
        "CUSP_PUBLIC_URL": "",
        "CUSP_MODE": "online",
        "CUSP_RUN_ID": "",
        "OMP_NUM_THREADS": "1",  # a tiny model is up to 40 times slower on two threads under load
        "HF_HUB_OFFLINE": "1",
    }


def _stay(parts: Demo) -> None:
    """Keep the dashboard up until Ctrl-C."""
    parts.out.print(f"\nThe dashboard stays at {parts.client.page_url} until Ctrl-C.")
    try:
        while True:
            time.sleep(POLL_S)
            parts.children.check()
    except KeyboardInterrupt:
        parts.out.print("\nending")


def _play(parts: Demo, recipe: list[str], started: float) -> Json:
    """Run the parts one after another and return the summary."""
    parts.client.get("/runs")  # fails early unless `--monitor` is a Cusp monitor
    parts.seconds["monitor"] = round(time.monotonic() - started, 1)
    parts.out.print(f"Dashboard: [bold]{parts.client.page_url}[/]")
    told = ["--run-id", parts.run_id, "--processes", "1"]
    where = {"CUSP_URL": parts.client.url}
    trainer = parts.children.start("the training", "train", *recipe, *told, **where)
    parts.children.start("the worker", "worker", **where)
    parts.out.print("starting the training: PyTorch, transformers and TRL are imported")
    _follow_training(parts, trainer)
    parts.children.drop(trainer)
    failed = _follow_evaluation(parts)
    parts.seconds["total"] = round(time.monotonic() - started, 1)
    return summarised(parts.client, parts.run_id, parts.seconds, failed)


def _own_monitor(out: Console, children: Children, port: int, home: Path) -> str:
    """Start a monitor and return its address once it reports that it is listening.

    Falls back to any free port if another process has `port` or takes it meanwhile.
    """
    if (free := free_port(port)) != port and port:
        out.print(f"port {port} is in use by {_who(port)}; taking another")
        free = 0
    for wanted in (free, 0):
        options = ("--host", "127.0.0.1", "--port", str(wanted), "--dir", str(home))
        monitor = children.start("the monitor", "serve", *options)
        while not monitor.ended:
            if found := _ADDRESS.search(monitor.log.read_text(errors="replace")):
                return found[1]
            time.sleep(0.1)
        if "is in use" not in last_lines(monitor.log):
            break
        children.drop(monitor)
    raise DemoFailed(f"the monitor {monitor.how()}")


def _who(port: int) -> str:
    """Return a description of the service that listens on a port of this machine."""
    with Client(settings.Settings(url=f"http://127.0.0.1:{port}")) as client:
        return "another Cusp monitor" if client.ready() else "another program"


def _follow_training(parts: Demo, trainer: Child) -> None:
    """Print the trainer's lines and the monitor's news until the training has ended."""
    begun = heard = said = time.monotonic()
    announced = 0.0
    tail, news = Tail(trainer.log), News()
    while True:
        ended = trainer.ended
        for line in tail.lines():
            parts.out.print(f"  {line}", markup=False)
            said = time.monotonic()
        if not announced and time.monotonic() - said > QUIET_S:
            said = time.monotonic()
            parts.out.print(f"  the training is starting ({said - begun:.0f} s)")
        run = _run(parts)
        if run or parts.client.ready():
            heard = time.monotonic()
        if run and not announced:
            announced = time.monotonic()
            parts.seconds["start"] = round(announced - begun, 1)
            parts.out.print(f"Run page: [bold]{parts.client.page_url}/runs/{parts.run_id}[/]")
        for line in news.of(run):
            parts.out.print(line, style="bold", markup=False)
        if ended:
            break
        parts.children.check(apart_from=trainer)  # it may have ended well since it was asked
        if time.monotonic() - heard > SILENT_S:
            raise DemoFailed(
                f"the monitor at {parts.client.url} has not answered for {SILENT_S:.0f} s; look at it"
            )
        time.sleep(POLL_S)
    if trainer.process.returncode != 0 or not run:
        raise DemoFailed(f"{trainer.name} {trainer.how()}")
    parts.seconds["training"] = round(time.monotonic() - announced, 1)


def _follow_evaluation(parts: Demo) -> str | None:
    """Print the progress of the candidates' evaluation until its job has ended; return why it failed."""
    begun, shown = time.monotonic(), ""
    while True:
        parts.children.check()
        jobs = parts.client.get("/jobs", run_id=parts.run_id)["jobs"]
        job = next((one for one in jobs if one["kind"] == "evaluate"), None)
        if job is None:
            parts.out.print("no checkpoint was saved, so there is nothing to evaluate")
            return None
        progress = job["progress"] or {}
        line = f"  evaluating {progress.get('done', 0)} of {progress.get('total', '?')}"
        if progress and line != shown:
            parts.out.print(f"{line}: {progress['text']}", markup=False)
            shown = line
        if job["state"] in ("done", "failed"):
            break
        time.sleep(POLL_S)
    parts.seconds["evaluation"] = round(time.monotonic() - begun, 1)
    return str(job["error"]) if job["state"] == "failed" else None


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


def _check_writable(path: Path) -> None:
    """Raise NotWritable now, not after minutes, if the summary cannot be written."""
    try:
        path.open("a").close()
    except OSError as error:
        raise NotWritable(f"cannot write {path} ({error.strerror}); name another file") from error
