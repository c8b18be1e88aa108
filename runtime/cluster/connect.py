"""Joins a Ray cluster, in bounded time."""

from __future__ import annotations

import logging
import os
import socket
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from runtime.errors import ConfigError, EnvironmentProblem
from runtime.system.package import load

REACH_S = 10
JOIN_S = 60

Anything = TypeVar("Anything")


def check_address(address: str) -> None:
    """Check the address of a cluster.

    Raises:
        ConfigError: it is none.
    """
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and "/" not in host and port.isdecimal()):
        raise ConfigError(
            f"--cluster is {address!r}: expected auto, or HOST:PORT of the head, without ray://"
        )


def join(address: str) -> Any:
    """Join a cluster as a driver.

    Args:
        address: `auto`, or HOST:PORT of its head.

    Returns:
        The module `ray`.

    Raises:
        ConfigError: the address is none.
        MissingDependency: Ray is not installed.
        EnvironmentProblem: there is no cluster, or it is of another version.
    """
    check_address(address)
    if address != "auto":
        _reach(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
    # Ray hides GPUs from workers that were given none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray = load("ray", extra="ray")
        logging.getLogger("ray").setLevel(logging.ERROR)  # which importing it resets
        bounded(lambda: _init(ray, address), JOIN_S, f"the cluster {address} does not answer")
    return ray


def bounded(work: Callable[[], Anything], within_s: float, otherwise: str) -> Anything:
    """Call a function that may hang.

    Args:
        work: what to do, in a thread that is left behind if it hangs.
        within_s: how long to wait.
        otherwise: the message if that is not enough.

    Raises:
        EnvironmentProblem: it was not enough.
    """
    results: list[Anything] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within_s)
    if errors:
        raise errors[0]
    if not results:
        raise EnvironmentProblem(f"{otherwise}: gave up after {within_s:.0f} s")
    return results[0]


def _reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
    except (OSError, OverflowError) as error:
        raise EnvironmentProblem(
            f"the cluster {address} cannot be reached: {error}. Check the address; `ray status` "
            "on its head says whether it runs"
        ) from error


def _init(ray: Any, address: str) -> bool:
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            include_dashboard=None,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise EnvironmentProblem(_explained(str(error), address)) from error
    return True


def _explained(text: str, address: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "ersion mismatch" in text:
        return (
            f"the cluster {address} is of another version: {' '.join(lines[:7])}. Install one "
            "version of Ray and Python on all machines"
        )
    if address == "auto":
        return "no Ray cluster runs on this machine: `ray start --head`, or join one, first"
    return (
        f"cannot join the cluster {address}: {lines[0] if lines else text}. This machine must be "
        f"one of its nodes: `ray start --address={address}`"
    )
