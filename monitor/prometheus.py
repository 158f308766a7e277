"""Prometheus metrics: counters of this process, and gauges from the database that all monitors share."""

from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from monitor.database.engine import Database
from monitor.store import commands, jobs

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Measures:
    """The metrics of one monitor. `streams` returns the number of open event streams."""

    def __init__(self, database: Database, streams: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        count = partial(Counter, registry=self._registry)
        self._batches = count("cusp_batches", "Batches taken, repeats and heartbeats too.")
        self._messages = count("cusp_messages", "Messages stored for the first time.")
        self._quarantined = count("cusp_quarantined", "Malformed messages set aside.")
        self._seconds = Histogram(
            "cusp_ingest_seconds",
            "From a batch to its commit, verdicts included.",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._registry.register(_Shared(database, streams))

    def took(self, messages: int, quarantined: int, seconds: float) -> None:
        """Count a committed batch."""
        self._batches.inc()
        self._messages.inc(messages)
        self._quarantined.inc(quarantined)
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format. Reads the database."""
        return generate_latest(self._registry)


class _Shared:
    """Collector that reads the database at every scrape; equal on all monitors, except for the streams."""

    def __init__(self, database: Database, streams: Callable[[], int]) -> None:
        self._database = database
        self._streams = streams

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registration does not read the database."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        yield GaugeMetricFamily("cusp_streams", "Open event streams.", value=self._streams())
        with self._database.read() as tx:
            job_states, command_states = jobs.counts(tx), commands.counts(tx)
        found = GaugeMetricFamily("cusp_jobs", "Jobs by state, all monitors.", labels=["state"])
        for state in jobs.STATES:
            found.add_metric([state], job_states.get(state, 0))
        yield found
        told = GaugeMetricFamily(
            "cusp_commands", "Commands ever given, by how far they got.", labels=["kind", "state"]
        )
        for (kind, state), number in sorted(command_states.items()):
            told.add_metric([kind, state], number)
        yield told
