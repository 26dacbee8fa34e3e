"""The same tasks done by processes of this machine or by a Ray cluster, until each has been done.

A task is a call without side effects but the file it writes atomically, so one whose worker died is simply done again.
"""
from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from geneface.errors import UserError
from geneface.extras import need

_ATTEMPTS = 12
"""How often workers may die in a row without a task being finished. A file that kills its worker is given up after
three (see `clips.load`), so a shard with several of them still comes through."""

_AHEAD = 4  # tasks handed out per worker of a cluster, so that none waits for the next


def run_tasks(function: Callable[..., Any], tasks: Sequence[tuple], workers: int = 0,
              cluster: str = "") -> Iterator[Any]:
    """Results of `function(*task)`, in the order in which they are finished.

    Args:
        function: of a module that every worker can import.
        workers: processes; 0 for one per core, 1 to work in this process.
        cluster: address of a Ray cluster ("auto", "host:6379", "ray://host:10001"), or "local" to start one of
            `workers` workers here; empty for processes.

    Raises:
        UserError: workers die again and again, or Ray is not installed or not reachable.
        Exception: what a task raises.
    """
    workers = workers or os.cpu_count() or 1
    if not tasks:
        return
    if cluster:
        yield from _over_ray(function, tasks, workers, cluster)
    elif workers == 1:
        for task in tasks:
            yield function(*task)
    else:
        yield from _over_processes(function, tasks, min(workers, len(tasks)))


def _start() -> None:
    """Make this process a worker: Ctrl-C is for its parent, which then ends it in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    one_thread()


def _leave(*_: object) -> None:
    sys.exit(1)


def _call(function: Callable[..., Any], task: tuple) -> Any:
    """A task in a process of the pool, which would take an exit for the task's result and go on with the next."""
    try:
        return function(*task)
    except SystemExit:
        os._exit(1)


def one_thread() -> None:
    """Keep this process to one core: the others are for the other workers (BLAS threads that wait for one another
    spin, and two processes with two each take many times as long as with one)."""
    import scipy.linalg  # noqa: F401  so that its BLAS is there to be limited
    import torch
    from threadpoolctl import threadpool_limits

    warnings.filterwarnings("ignore", message="SymbolDatabase.GetPrototype", category=UserWarning)  # MediaPipe's
    threadpool_limits(1)
    torch.set_num_threads(1)


def _over_processes(function: Callable[..., Any], tasks: Sequence[tuple], workers: int) -> Iterator[Any]:
    left = list(range(len(tasks)))
    deaths = 0
    while left:
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start)
        try:
            futures: dict[Future, int] = {pool.submit(_call, function, tasks[i]): i for i in left}
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    index = futures.pop(future)
                    result = future.result()
                    left.remove(index)
                    deaths = 0
                    yield result
        except BrokenProcessPool as error:
            deaths += 1
            if deaths > _ATTEMPTS:
                raise UserError(_dying(deaths)) from error
        except BaseException:
            _stop(pool)
            raise
        pool.shutdown(cancel_futures=True)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the pool's processes now: what they do is kept file by file, and done again where it was cut off."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


def _dying(deaths: int) -> str:
    return (f"workers died {deaths} times in a row, most likely for want of memory; use fewer (--workers), or a "
            "smaller shard_mb; finished shards are kept")


def _over_ray(function: Callable[..., Any], tasks: Sequence[tuple], workers: int, cluster: str) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report home
    if cluster != "local":  # a cluster that is gone would be tried for a quarter of an hour
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "2")
    need("cluster", "a cluster")
    import ray

    ours = not ray.is_initialized()
    if ours:
        _connect(ray, workers, cluster)
    try:
        remote = ray.remote(max_retries=_ATTEMPTS, num_cpus=1)(_alone)
        limit = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting = iter(tasks)
        running: list[Any] = []
        while True:
            while len(running) < limit and (task := next(waiting, None)) is not None:
                running.append(remote.remote(function, task))
            if not running:
                return
            done, running = ray.wait(running, num_returns=1)
            try:
                yield ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
                raise UserError(_dying(_ATTEMPTS)) from error
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, workers: int, cluster: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        _knock(cluster)
        if cluster == "local":
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
        else:
            ray.init(address=cluster, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{cluster}: no Ray cluster can be reached there ({reason}); start one with "
                        "ray start --head; if it asks for a token, set RAY_AUTH_MODE=token here too") from error


def _knock(cluster: str) -> None:
    """Raise OSError where an address "host:port" does not answer, which Ray takes minutes to say."""
    host, _, port = cluster.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _alone(function: Callable[..., Any], task: tuple) -> Any:
    """A task on a worker of the cluster."""
    one_thread()
    return function(*task)
