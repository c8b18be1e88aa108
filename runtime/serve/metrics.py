"""Prometheus metrics at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        # One of its own, so that two servers in a process do not share theirs.
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "dggn_requests_total",
            "Requests answered, or abandoned by the client (499).",
            ("path", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "dggn_request_seconds",
            "Time from a request's first byte to its response's last.",
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
            "Requests in progress: uploading, waiting, being processed or answered.",
            registry=self._registry,
        )
        self.working = Gauge(
            "dggn_working",
            "Pictures being processed, by size.",
            ("size",),
            registry=self._registry,
        )

    def watch_queue(self, count: Callable[[], float]) -> None:
        """Register a function that returns the number of occupied places."""
        self.queue.set_function(count)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)
