"""What does a look at a long run cost? The run's page, a zoom, the runs table; trackio and TensorBoard beside it.

python -m benchmarks.page [--quick] [--only cusp,trackio,tensorboard] [--database sqlite|postgresql] [--json FILE]

A run of 50,000 and one of 100,000 steps x 20 metrics, live and stopped, and a table of 10,000 runs (--quick: 5,000
steps, 300 runs). "CPU" is that of the server's process for one answer, the median of five, the first one beside it;
"bytes" are those on the wire, packed. "First chart" is from the navigation until the frame with the chart that the
page carries (webui/charts/still.py) has been handed out, "live chart" until plotly.js has drawn its own in that place,
in a real Chromium with a profile on disk, as a person's: of the first visit ever, with nothing cached, and the median
of three later ones, when the browser has kept plotly.js compiled (it does so at the second visit). The monitor asks for
a token, the browser has logged in. trackio is asked for each of the 20 metrics as its dashboard does, TensorBoard for
each tag; TensorBoard keeps 1,000 random points of a tag, so what it sends is a sample, without the extremes.
"""

import gzip
import http.client
import json
import math
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Playwright, sync_playwright

from benchmarks.detector.scoring import markdown
from benchmarks.peers.peers import SYSTEMS, Place, System, places
from benchmarks.peers.systems.workload import NAMES
from benchmarks.service.live import monitor
from benchmarks.service.rounds import keep, machine, median, parser_of, say, verdict
from cusp.ids import new_id
from tests.browser.conftest import FLAGS
from tests.browser.install import browser as installed_browser

Json = dict[str, Any]
MOST_CPU_S, MOST_BYTES, MOST_DRAWN_S, MOST_ZOOM_S = 0.35, 400_000, 1.2, 0.2
MOST_TABLE_CPU_S, MOST_TABLE_BYTES = 0.25, 150_000
TOKEN = "the-token-of-the-benchmark"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MAIN = "format_reward,completion_length,accuracy_reward"
BATCH = 500
TENSORBOARD = System(
    "tensorboard",
    "on_tensorboard.py",
    "main",
    ("-m", "tensorboard.main", "--logdir", "{dir}", "--port", "{port}", "--load_fast", "false"),
    ready="/data/environment",
    title="TensorBoard",
)
# What a visit reaches: the beginning and the end of the HTML, the chart in it seen, plotly.js fetched and run, ...
STAGES = ("head", "page", "pictured", "plotly came", "plotly ran", "drawing", "drawn")
NOTED = """new MutationObserver((_, watch) => {
  if (!document.querySelector('#charts .still .lines path')) return;
  watch.disconnect();
  requestAnimationFrame(() => setTimeout(() => performance.mark('pictured')));
}).observe(document, { childList: true, subtree: true });
let plotly; Object.defineProperty(window, 'Plotly', { configurable: true, get: () => plotly, set: (made) => {
  plotly = made;
  performance.mark('plotly ran');
  const { react } = made;
  if (react) made.react = (...given) => {
    performance.mark('drawing');
    const drawn = react(...given);
    performance.mark('drawn');
    return drawn;
  };
} });"""
REACHED = """() => {
  const [page] = performance.getEntriesByType('navigation');
  const script = performance.getEntriesByType('resource').find(({ name }) => name.includes('/plotly-'));
  const at = (name) => performance.getEntriesByName(name, 'mark')[0].startTime;
  return { head: page.responseStart, page: page.responseEnd, pictured: at('pictured'),
    'plotly came': script.responseEnd,
    'plotly ran': at('plotly ran'), drawing: at('drawing'), drawn: at('drawn') };
}"""
DRAWN = """() => {
  const chart = document.querySelector('.js-plotly-plot');
  return Boolean(chart && chart.querySelector('.scatterlayer .trace'));
}"""


def cpu_s(place: Place) -> float:
    """Return the CPU seconds that the server's process has had."""
    if place.process is None:
        raise SystemExit("the server does not run")
    fields = Path(f"/proc/{place.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request(
    place: Place, path: str, body: Json | None = None, head: Json | None = None
) -> tuple[int, bytes]:
    """Return how many bytes came over the wire, and the answer; SystemExit on an error."""
    connection = http.client.HTTPConnection(place.url.removeprefix("http://"), timeout=300)
    sent = {"Accept-Encoding": "gzip", "Content-Type": "application/json", **BEARER, **(head or {})}
    text = None if body is None else json.dumps(body)
    connection.request("GET" if text is None else "POST", path, text, sent)
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    if answer.status >= 300:
        raise SystemExit(f"{path} answered {answer.status}: {found[:200]!r}")
    packed = answer.getheader("Content-Encoding") == "gzip"
    return len(found), gzip.decompress(found) if packed else found


def cost(place: Place, ask: Callable[[], int], times: int = 5) -> Json:
    """Return CPU and wall seconds of an answer and its bytes; `ask` returns these."""
    cpu, wall, size = [], [], 0
    for _ in range(times + 1):
        began, at = cpu_s(place), time.perf_counter()
        size = ask()
        wall.append(time.perf_counter() - at)
        time.sleep(0.05)
        cpu.append(cpu_s(place) - began)
    return {"cpu_s": median(cpu[1:]), "first_cpu_s": cpu[0], "s": median(wall[1:]), "bytes": size}


def settled(place: Place) -> None:
    """Wait until the server has done what it does behind its answers."""
    before = cpu_s(place)
    for _ in range(120):
        time.sleep(6)
        now = cpu_s(place)
        if now - before < 0.6:
            return
        before = now


def values(step: int, steps: int, rng: random.Random) -> dict[str, float]:
    """Return the values of a step: noise, and a format that is learnt half way."""
    found = {name: rng.random() * (n + 1) for n, name in enumerate(NAMES)}
    found["rewards/format_reward/mean"] = 0.5 + 0.4 * math.tanh(8 * (step / steps - 0.5))
    return found


def filled(place: Place, steps: int, *, stopped: bool) -> str:
    """Return the id of a run of so many steps, sent as Cusp's client sends them."""
    say(f"a {'stopped' if stopped else 'live'} run of {steps:,} steps")
    run, attempt, rng = new_id(), new_id(), random.Random(0)
    start = {"run_id": run, "attempt_id": attempt, "name": f"{steps} steps", "project": "page"}
    request(place, "/api/v1/runs", start)
    for first in range(0, steps, BATCH):
        messages: list[Json] = [
            {"kind": "point", "step": step, "metrics": values(step, steps, rng)}
            for step in range(first + 1, min(first + BATCH, steps) + 1)
        ]
        if stopped and first + BATCH >= steps:
            messages.append({"kind": "status", "status": "stopped", "step": steps})
        body = {"attempt_id": attempt, "first_seq": first, "messages": messages}
        request(place, f"/api/v1/runs/{run}/batches", body)
    return run


def many(place: Place, count: int) -> None:
    """Have the table hold so many runs, each with a few steps."""
    say(f"{count:,} runs")
    rng = random.Random(1)
    for number in range(count):
        run, attempt = new_id(), new_id()
        start = {"run_id": run, "attempt_id": attempt, "name": f"run {number}", "project": "table"}
        request(place, "/api/v1/runs", start)
        messages = [
            {"kind": "point", "step": step, "metrics": values(step, 3, rng)} for step in range(3)
        ]
        body = {"attempt_id": attempt, "first_seq": 0, "messages": messages}
        request(place, f"/api/v1/runs/{run}/batches", body)


def visit(page: Page, url: str) -> dict[str, float]:
    """Return when, in seconds from the navigation, a visit reached each of STAGES."""
    page.goto(url, wait_until="commit")
    page.wait_for_function(DRAWN, polling="raf", timeout=60_000)
    found: dict[str, float] = page.evaluate(REACHED)
    page.goto("about:blank")
    page.wait_for_timeout(1_000)  # what was compiled is written to disk behind the page
    return {name: value / 1e3 for name, value in found.items()}


def first_chart(playwright: Playwright, url: str) -> Json:
    """Return when the first chart was drawn, at the first visit and at later ones, and what was reached before."""
    with tempfile.TemporaryDirectory(prefix="cusp-profile-") as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=installed_browser(),
            args=FLAGS,
            viewport={"width": 1440, "height": 900},
        )
        page = context.new_page()
        page.add_init_script(NOTED)
        page.goto(f"{url.partition('/runs/')[0]}/login")
        page.fill("[name=token]", TOKEN)
        page.click("#login button")
        page.wait_for_load_state()
        visits = [visit(page, url) for _ in range(2 + 3)]
        context.close()
    later = {name: median([one[name] for one in visits[2:]]) for name in STAGES}
    return {
        "seen_first_s": visits[0]["pictured"],
        "seen_s": later["pictured"],
        "reached": {"first": visits[0], "later": later},
    }


def on_cusp(place: Place, sizes: Sequence[int], runs: int) -> Iterator[tuple[str, Json]]:
    """Yield what is looked at, and what that costs."""
    made = {
        (steps, stopped): filled(place, steps, stopped=stopped)
        for steps in sizes
        for stopped in (False, True)
    }
    settled(place)
    with sync_playwright() as playwright:
        for (steps, stopped), run in made.items():
            what = f"{steps:,} steps, {'stopped' if stopped else 'live'}"
            say(what)
            path = f"/runs/{run}"
            found = cost(place, lambda path=path: request(place, path)[0])  # type: ignore[misc]
            found |= first_chart(playwright, place.url + path)
            yield f"page, {what}", found
            window = f"since={steps // 2}&until={steps // 2 + 2_000}&max_points=3000"
            zoom = f"/api/v1/runs/{run}/series?names={MAIN}&{window}"
            yield f"zoom, {what}", cost(place, lambda zoom=zoom: request(place, zoom)[0])  # type: ignore[misc]
    many(place, runs)
    settled(place)
    yield f"table, {runs:,} runs", cost(place, lambda: request(place, "/")[0])


def on_trackio(place: Place, steps: int) -> Json:
    """Return what trackio's server takes to give all 20 metrics of a run."""
    say(f"trackio, {steps:,} steps")
    place.work("log", "page", steps=steps)
    settled(place)
    head = {"X-Trackio-Write-Token": "x"}

    def ask() -> int:
        return sum(
            request(
                place,
                "/api/get_metric_values",
                {"project": "page", "run": "r", "metric_name": name},
                head,
            )[0]
            for name in NAMES
        )

    return cost(place, ask, 2)


def on_tensorboard(place: Place, steps: int) -> Json:
    """Return what TensorBoard's server takes to give all 20 tags of a run."""
    say(f"TensorBoard, {steps:,} steps")
    place.work("log", "page", steps=steps)
    place.start()
    settled(place)

    def ask() -> int:
        path = "/data/plugin/scalars/scalars?run=page&tag="
        return sum(request(place, path + name.replace("/", "%2F"))[0] for name in NAMES)

    return cost(place, ask, 2)


def beside(names: Sequence[str], steps: int) -> Iterator[tuple[str, Json]]:
    """Yield what the other servers take for the same run."""
    if "trackio" in names:
        with places(["trackio"]) as opened:
            yield f"trackio, {steps:,} steps", on_trackio(opened["trackio"], steps)
    if "tensorboard" in names:
        SYSTEMS["tensorboard"], before = TENSORBOARD, SYSTEMS["tensorboard"]
        try:
            with places(["tensorboard"]) as opened:
                opened["tensorboard"].end()  # it begins when there is something to read
                found = on_tensorboard(opened["tensorboard"], steps)
            yield f"TensorBoard, {steps:,} steps", found
        finally:
            SYSTEMS["tensorboard"] = before


def table(found: dict[str, Json]) -> str:
    """Return the table of what was measured."""
    lines = [
        [
            what,
            f"{one['cpu_s']:.3f} s",
            f"{one['first_cpu_s']:.3f} s",
            f"{one['s']:.2f} s",
            f"{one['bytes'] / 1e3:,.0f} kB",
            f"{one['seen_first_s']:.2f} s" if "seen_s" in one else "–",
            f"{one['seen_s']:.2f} s" if "seen_s" in one else "–",
        ]
        for what, one in found.items()
    ]
    head = ("looked at", "CPU", "CPU, the first time", "answer", "on the wire")
    return markdown((*head, "first chart, first visit", "later"), lines) + "\n" + stages(found)


def stages(found: dict[str, Json]) -> str:
    """Return the table of what a visit had reached when."""
    lines = [
        [f"{what}, {visited}", *(f"{reached[name]:.2f} s" for name in STAGES)]
        for what, one in found.items()
        for visited, reached in one.get("reached", {}).items()
    ]
    return markdown(("visit", *STAGES), lines) if lines else ""


def bars(found: dict[str, Json]) -> list[str]:
    """Return the bars of issue 15 as lines."""
    lines = []
    for what, one in found.items():
        cpu, size = one["cpu_s"], one["bytes"]
        if what.startswith("page"):
            said = f"{what}: {cpu:.2f} s CPU (bar {MOST_CPU_S}), {size / 1e3:.0f} kB (bar 400)"
            lines.append(verdict(cpu <= MOST_CPU_S and size <= MOST_BYTES, said))
            for visited, seen in (("first", one["seen_first_s"]), ("later", one["seen_s"])):
                drawn = one["reached"][visited]["drawn"]
                said = (
                    f"{what}: first chart after {seen:.2f} s, {visited} visit (bar {MOST_DRAWN_S})"
                )
                lines.append(verdict(seen <= MOST_DRAWN_S, f"{said}; live chart {drawn:.2f} s"))
        elif what.startswith("zoom"):
            said = f"{what}: {one['s']:.2f} s (bar {MOST_ZOOM_S})"
            lines.append(verdict(one["s"] <= MOST_ZOOM_S, said))
        elif what.startswith("table"):
            said = (
                f"{what}: {cpu:.2f} s CPU (bar {MOST_TABLE_CPU_S}), {size / 1e3:.0f} kB (bar 150)"
            )
            lines.append(verdict(cpu <= MOST_TABLE_CPU_S and size <= MOST_TABLE_BYTES, said))
    return lines


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", default="cusp,trackio,tensorboard", help="systems, by comma")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--steps", help="sizes of the runs, by comma")
    parser.add_argument("--runs", type=int, help="runs in the table")
    given = parser.parse_args()
    names = given.only.split(",")
    sizes = [int(one) for one in given.steps.split(",")] if given.steps else []
    sizes = sizes or ([5_000] if given.quick else [50_000, 100_000])
    runs = given.runs or (300 if given.quick else 10_000)
    found: dict[str, Json] = {}
    if "cusp" in names:
        os.environ["CUSP_TOKEN"] = TOKEN
        with monitor(given.database) as place:
            found |= dict(on_cusp(place, sizes, runs))
        del os.environ["CUSP_TOKEN"]
    found |= dict(beside(names, sizes[0]))
    print(f"Looking, {given.database}, {machine()}; 20 metrics.\n\n{table(found)}")
    print("\n".join(bars(found)))
    keep(given.json, measured=found, sizes=sizes)


if __name__ == "__main__":
    main()
