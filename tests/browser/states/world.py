"""The states: what a monitor must have been told for a page to show each, and the address where it shows it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from cusp.ids import new_id
from monitor.settings import MonitorConfig
from monitor.webhooks.ssrf import allowed_networks
from tests.browser.conftest import TOKEN
from tests.browser.evaluated_run import send as send_evaluated
from tests.browser.states import scored
from tests.browser.states.recorded import SHAPE, Recorded
from tests.messages import Json
from tests.receivers import Receiver
from tests.serving import Served, serving

STEP_S = 42.0  # seconds a step; made up, as of a model of 1.5 B parameters on two L40S
UNVERIFIED = {**SHAPE, "verifies": None}


class World:
    """A monitor and the runs that were played to it, by state.

    The monitor's clock is moved while a run is played, so that durations and costs are those of a real training;
    each run ends `ago_h` hours before now, or is heard of now.
    """

    def __init__(self, served: Served, folder: Path, webhook_url: str) -> None:
        self.served, self.folder, self.webhook_url = served, folder, webhook_url
        head = {"Authorization": f"Bearer {TOKEN}"}
        self.client = httpx.Client(base_url=served.url, headers=head, timeout=60)
        self.paths: dict[str, str] = {}
        self.alive: list[Recorded] = []

    def address(self, path: str) -> str:
        """Return the address of a page; what stands alone is a file."""
        return path if path.startswith("file:") else self.served.url + path

    def play(
        self, state: str, recording: str, name: str, *, ago_h: float = 0.0, **more: Any
    ) -> Recorded:
        """Play a recording to its end or its stop; the page of the run is that of the state."""
        last = more.get("last") or 200
        tick = self._clock(last, ago_h)
        run = Recorded(self.client, recording, name, tick=tick, **more).play()
        self.paths[state] = run.path
        return run

    def evaluate(self, run: Recorded, *, ago_h: float) -> None:
        """Have a worker score the candidates of a run that ended, in 24 minutes."""
        job = scored.claim(run, "evaluate")
        self.served.ahead_s = 1440 - ago_h * 3600
        scored.evaluate(run, job)
        self.paths["job"] = f"/jobs/{job['id']}"

    def heard(self) -> None:
        """Let those that train and the workers be heard of: after a minute of silence they are lost."""
        self.served.ahead_s = 0.0
        for run in self.alive:
            run.trainer.send()
        for name in ("l40s-1", "l40s-2"):
            body = {**scored.WORKER, "name": name}
            self.client.post("/api/v1/workers", json=body).raise_for_status()

    def _clock(self, last: int, ago_h: float) -> Callable[[int], None]:
        def tick(step: int) -> None:
            self.served.ahead_s = (step - last) * STEP_S - ago_h * 3600

        return tick


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    """Yield an empty monitor that asks for a token, and close it at the end."""
    allowed = allowed_networks("127.0.0.0/8")
    config = MonitorConfig(str(folder / "cusp.db"), token=TOKEN, webhook_allow=allowed)
    with serving(config) as served, Receiver(204, 204, 500, 204) as receiver:
        world = World(served, folder, receiver.url)
        yield world
        world.client.close()


def fill(world: World) -> None:
    """Play a run in each state, and tell of what surrounds the runs."""
    _surroundings(world)
    _ended(world)
    _acting(world)
    _training(world)
    runs = [world.paths[one].removeprefix("/runs/") for one in ("stopped", "stopped-2", "healthy")]
    world.paths["compared"] = f"/compare?runs={','.join(runs)}"
    for state, path in (
        ("report", f"{world.paths['stopped']}/report.html"),
        ("compare-report", world.paths["compared"].replace("?", "/report?")),
    ):
        file = world.folder / f"{state}.html"
        file.write_text(world.client.get(path).raise_for_status().text)
        world.paths[state] = file.as_uri()
    world.paths["samples"] = f"{world.paths['stopped']}/samples"
    world.paths["differences"] = f"{world.paths['evaluated']}/differences?task=math500"
    world.paths["compared-by-transition"] = f"/compare?runs={','.join(runs)}&x=transition"
    world.heard()


def _ended(world: World) -> None:
    stopped = world.play("stopped", "tiny_s0", "tiny · seed 0", ago_h=3)
    world.evaluate(stopped, ago_h=3)
    other = world.play("stopped-2", "tiny_s1", "tiny · seed 1", ago_h=9, config={"seed": 1})
    world.evaluate(other, ago_h=9)
    plain = {"seed": 2, "rewards": {"cosine": "plain"}}
    world.play("healthy", "healthy_s0", "healthy · seed 0", ago_h=20, config=plain).end()
    collapsed = world.play(
        "collapsed", "kl_s0", "beta 0.04, cut off", ago_h=6, last=110, changed=_collapse,
        metadata=UNVERIFIED,
    )  # fmt: skip
    collapsed.end("stopped")
    failed = world.play("failed", "rank4_s0", "rank 4", ago_h=30, last=25)
    reason = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.32 GiB"
    failed.end("failed", reason=reason)
    world.paths["evaluated"] = f"/runs/{send_evaluated(world.client).run_id}"


def _collapse(step: int, metrics: Json) -> Json:
    """Return the metrics; from step 90 on every completion is cut off and no reward is paid."""
    if step < 90:
        return metrics
    gone = {"format_reward": 0.0, "accuracy_reward": 0.0, "reward": 0.0, "reward_std": 0.0}
    return {**metrics, **gone, "completion_length": 64.0, "clipped_ratio": 1.0}


def _acting(world: World) -> None:
    """Play what waits for somebody: for the trainer, or for a person."""
    policy = {"action": "propose"}
    alive = [
        world.play("suspected", "hard90_s0", "hard 90 %", last=68, answers=False),
        world.play("verified", "soft_cosine_s0", "soft cosine", last=100),
        world.play("proposed", "tiny_s0", "tiny · proposes", last=80, policy=policy),
        world.play(
            "stopping", "tina_cosine_s0", "tina cosine", last=78, answers=False,
            metadata=UNVERIFIED,
        ),
    ]  # fmt: skip
    world.alive += alive


def _training(world: World) -> None:
    world.alive.append(world.play("live", "healthy_s1", "healthy · seed 1", last=90))
    world.alive.append(world.play("warming-up", "easy_s0", "easy", last=4))
    world.play("lost", "hard40_s0", "hard 40 %", last=40, ago_h=0.2)
    deleted = world.play("deleted", "lr1e-4_s0", "a first try", last=20, ago_h=50).end()
    world.client.delete(f"/api/v1{deleted.path}").raise_for_status()


def _surroundings(world: World) -> None:
    """Tell of workers, jobs, tokens, webhooks."""
    world.served.ahead_s = 0.0

    def post(path: str, body: Json) -> Json:
        answer: Json = world.client.post(f"/api/v1{path}", json=body).raise_for_status().json()
        return answer

    world.heard()
    post("/trainings", {"recipe": "tiny", "overrides": ["seed=4"]})
    post("/tokens", {"name": "a trainer", "scopes": ["ingest"]})
    post("/tokens", {"name": "the group", "scopes": ["read", "control"], "project": "tiny"})
    post("/webhooks", {"url": world.webhook_url})


def many(world: World, count: int) -> None:
    """Fill the table with so many runs of a sweep."""
    rng = random.Random(4)
    for number in range(count):
        run_id, rate = new_id(), rng.choice(("1e-6", "3e-6", "1e-5"))
        world.served.ahead_s = -3600.0 * (60 + number / 4)
        config = {"grpo": {"learning_rate": float(rate)}, "seed": number}
        start: Json = {"run_id": run_id, "attempt_id": run_id, "project": "sweep"}
        start |= {"name": f"sweep {number} · lr {rate}", "config": config, "metadata": SHAPE}
        world.client.post("/api/v1/runs", json=start).raise_for_status()
        level, length = rng.uniform(0.4, 0.9), rng.uniform(300, 900)
        points = [
            {
                "format_reward": min(1.0, level * min(1, step / 60) + rng.gauss(0, 0.03)),
                "accuracy_reward": max(0.0, level / 2 + rng.gauss(0, 0.03)),
                "completion_length": length * (1 - step / 400) + rng.gauss(0, 12),
            }
            for step in range(1, 121, 4)
        ]
        messages: list[Json] = [
            {"kind": "point", "step": 4 * at + 1, "metrics": one} for at, one in enumerate(points)
        ]
        messages.append({"kind": "status", "status": "finished"})
        body = {"attempt_id": run_id, "first_seq": 0, "messages": messages}
        world.client.post(f"/api/v1/runs/{run_id}/batches", json=body).raise_for_status()
    world.served.ahead_s = 0.0
