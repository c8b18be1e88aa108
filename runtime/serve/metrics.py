"""What `/metrics` tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        # One of its own, so that two servers in a process do not share theirs.
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "dggn_requests_total",
            "Requests that were answered, or given up by the client (499).",
            ("path", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "dggn_request_seconds",
            "From a request's first byte to its answer's last.",
            ("path", "status"),
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600),
            registry=self._registry,
        )
        self.pixels = Counter(
            "dggn_pixels_total",
            "Pixels of the pictures that were upscaled, and of their results.",
            ("of",),
            registry=self._registry,
        )
        self.queue = Gauge(
            "dggn_queue",
            "Requests with a place: sending, waiting, worked on, or being answered.",
            registry=self._registry,
        )
        self.working = Gauge(
            "dggn_working",
            "Pictures that are worked on, by their size.",
            ("size",),
            registry=self._registry,
        )

    def watch_queue(self, count: Callable[[], float]) -> None:
        """Ask for the number of places taken whenever the metrics are read."""
        self.queue.set_function(count)

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self._registry)
