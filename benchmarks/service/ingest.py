"""How fast are points taken in, and what do they weigh? Cusp beside the servers and the local files.

python -m benchmarks.service.ingest [--quick] [--rounds 5] [--only cusp,trackio] [--json FILE]

Through the clients: one run logs 2,000 steps of 20 values back to back by each system's own client; time
from the first call until everything is stored (Cusp: acknowledged, that is committed; trackio: the rows
are in its server's database; local ones: the file is closed). mlflow gets 60 steps, as it takes seconds.
The servers alone: four connections, each a run, post requests that were made before; every request is
acknowledged. Rounds are interleaved; each cell is the median (least-greatest) over them. Both Cusp and
trackio write SQLite with WAL and synchronous=NORMAL; Cusp's detector judges every step meanwhile.
"""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.detector.scoring import markdown
from benchmarks.peers.peers import SYSTEMS, Place, places
from benchmarks.peers.systems.workload import NAMES, rows
from benchmarks.service.rounds import (
    asked,
    interleaved,
    keep,
    machine,
    median,
    quantile,
    ratios,
    spread,
    verdict,
)
from cusp.ids import new_id
from cusp.metrics import canonical

Json = dict[str, Any]
CONNECTIONS = 4
STEPS = {"mlflow": 60}
SERVERS = ("cusp", "trackio", "mlflow")


def by_clients(opened: dict[str, Place], rounds: int, steps: int) -> dict[str, list[Json]]:
    """Return what each round measured of each system."""
    found: dict[str, list[Json]] = {name: [] for name in opened}
    for name in interleaved(list(opened), rounds):
        number = len(found[name])
        found[name].append(
            opened[name].work("log", f"run{number}", steps=min(steps, STEPS.get(name, steps)))
        )
    return found


# ------------------------------------------------------------------------- the servers alone


def bodies(name: str, url: str, run: str, requests: int, each: int) -> tuple[str, list[bytes]]:
    """Return the path and the bodies of so many requests of so many steps for one run."""
    values = rows(requests * each, seed=len(run))
    parts = [list(enumerate(values))[i * each : (i + 1) * each] for i in range(requests)]
    now = time.time()
    if name == "cusp":
        run_id, attempt_id = new_id(), new_id()
        post(url, "/api/v1/runs", {"run_id": run_id, "attempt_id": attempt_id, "name": run})
        head = {"v": 1, "attempt_id": attempt_id}
        made = [
            {
                **head,
                "first_seq": part[0][0],
                "messages": [
                    {"kind": "point", "step": step, "metrics": canonical(metrics), "at": now}
                    for step, metrics in part
                ],
            }
            for part in parts
        ]
        return f"/api/v1/runs/{run_id}/batches", [json.dumps(one).encode() for one in made]
    if name == "trackio":
        logs = [
            [
                {
                    "project": f"alone-{run}",
                    "run": run,
                    "run_id": run,
                    "metrics": metrics,
                    "step": step,
                    "config": None,
                    "log_id": f"{run}-{step}",
                }
                for step, metrics in part
            ]
            for part in parts
        ]
        return "/api/bulk_log", [
            json.dumps({"logs": one, "hf_token": None}).encode() for one in logs
        ]
    made_run = post(url, "/api/2.0/mlflow/runs/create", {"experiment_id": "0"})
    run_id = made_run["run"]["info"]["run_id"]
    made = [
        {
            "run_id": run_id,
            "metrics": [
                {"key": key, "value": value, "timestamp": int(now * 1000), "step": step}
                for step, metrics in part
                for key, value in metrics.items()
            ],
        }
        for part in parts
    ]
    return "/api/2.0/mlflow/runs/log-batch", [json.dumps(one).encode() for one in made]


HEADERS = {"Content-Type": "application/json", "X-Trackio-Write-Token": "x"}


def post(url: str, path: str, body: Json) -> Json:
    """Post once and return the answer."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", path, json.dumps(body), HEADERS)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{path} answered {answer.status}: {text[:200]!r}")
    found: Json = json.loads(text)
    return found


def pour(url: str, path: str, made: Sequence[bytes], times: list[float]) -> None:
    """Post all bodies over one connection and note how long each took."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    for body in made:
        began = time.perf_counter()
        connection.request("POST", path, body, HEADERS)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{path} answered {answer.status}: {text[:200]!r}")
        times.append(time.perf_counter() - began)


def alone(name: str, url: str, requests: int, each: int, label: str) -> Json:
    """Return the rate of a server under ready-made requests over CONNECTIONS connections."""
    made = [bodies(name, url, f"{label}{n}", requests, each) for n in range(CONNECTIONS)]
    times: list[float] = []
    threads = [threading.Thread(target=pour, args=(url, *one, times)) for one in made]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    points = CONNECTIONS * requests * each * len(NAMES)
    if len(times) != CONNECTIONS * requests:
        raise SystemExit(f"{name}: {len(times)} of {CONNECTIONS * requests} requests were answered")
    return {
        "points": points,
        "seconds": seconds,
        "p50": median(times),
        "p99": quantile(times, 0.99),
    }


LOADS = {
    "one step a request": {"cusp": (150, 1), "trackio": (150, 1), "mlflow": (8, 1)},
    "50 steps a request": {"cusp": (15, 50), "trackio": (15, 50), "mlflow": (2, 50)},
}


def by_requests(opened: dict[str, Place], rounds: int) -> dict[str, dict[str, list[Json]]]:
    """Return what each round measured of each server under each load."""
    servers = [name for name in opened if name in SERVERS]
    found: dict[str, dict[str, list[Json]]] = {}
    for number, (load, sizes) in enumerate(LOADS.items()):
        found[load] = {name: [] for name in servers}
        for name in interleaved(servers, rounds, f"{load}, "):
            label = f"load{number}round{len(found[load][name])}of"
            requests, each = sizes[name]
            found[load][name].append(alone(name, opened[name].url, requests, each, label))
    return found


# -------------------------------------------------------------------------------- the tables


def rates(found: Sequence[Json]) -> list[float]:
    """Return points a second, round by round."""
    return [one["points"] / one["seconds"] for one in found]


def client_table(found: dict[str, list[Json]], weights: dict[str, float]) -> str:
    """Return the table of the clients."""
    ours = rates(found["cusp"])
    lines = []
    for name, each in found.items():
        calls = [ns / 1e3 for one in each for ns in one["calls_ns"]]
        lines.append(
            [
                SYSTEMS[name].title,
                spread(rates(each)),
                "1" if name == "cusp" else ratios(ours, rates(each)),
                f"{median(calls):,.0f} us",
                f"{quantile(calls, 0.99):,.0f} us",
                f"{weights[name]:.1f}" if name in weights else "–",
            ]
        )
    head = ("system", "points a second, stored", "Cusp is", "call p50", "call p99", "bytes a point")
    return markdown(head, lines)


def server_table(found: dict[str, list[Json]]) -> str:
    """Return the table of the servers under one load."""
    ours = rates(found["cusp"])
    lines = [
        [
            SYSTEMS[name].title.split(" -> ")[-1],
            spread(rates(each)),
            "1" if name == "cusp" else ratios(ours, rates(each)),
            f"{1e3 * median([one['p50'] for one in each]):.1f} ms",
            f"{1e3 * median([one['p99'] for one in each]):.1f} ms",
        ]
        for name, each in found.items()
    ]
    return markdown(("server", "points a second", "Cusp is", "answer p50", "answer p99"), lines)


def bars(clients: dict[str, list[Json]], weights: dict[str, float]) -> list[str]:
    """Return the bars of design §10 as lines."""
    ours, lines = rates(clients["cusp"]), []
    for name, least in (("trackio", 1.5), ("mlflow", 100.0)):
        if name in clients:
            times = median([a / b for a, b in zip(ours, rates(clients[name]), strict=True)])
            lines.append(verdict(times >= least, f"{times:.2f}x {name}'s server (bar {least:g}x)"))
    lines.append(
        verdict(weights["cusp"] <= 35, f"{weights['cusp']:.1f} bytes a point on disk (bar 35)")
    )
    return lines


def main() -> None:
    """Measure and print."""
    given = asked(__doc__, list(SYSTEMS))
    rounds, steps = given.rounds, 1_000 if given.quick else 2_000
    with places(given.names) as opened:
        before = {name: place.size() for name, place in opened.items()}
        clients = by_clients(opened, rounds, steps)
        for place in opened.values():  # what a server holds is on disk once it has ended
            place.end()
        weights = {
            name: (place.size() - before[name]) / sum(one["points"] for one in clients[name])
            for name, place in opened.items()
        }
        for name in SERVERS:
            if name in opened:
                opened[name].start()
        requests = by_requests(opened, rounds)
    print(f"Ingest, {machine()}; {rounds} interleaved rounds, median (least-greatest).\n")
    print(f"Through the clients: one run of {steps:,} steps x {len(NAMES)} values back to back.\n")
    print(client_table(clients, weights))
    for load, found in requests.items():
        print(f"The servers alone, {CONNECTIONS} connections, {load}.\n\n{server_table(found)}")
    print("\n".join(bars(clients, weights)))
    for one in (one for each in clients.values() for one in each):
        del one["called_at"]
        one["calls_ns"] = [quantile(one["calls_ns"], share) for share in (0.5, 0.99, 1.0)]
    keep(given.json, clients=clients, bytes=weights, requests=requests)


if __name__ == "__main__":
    main()
