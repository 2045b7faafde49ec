"""Dask: a cluster of this machine or an existing one, and a bounded way of giving it work."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

from marrowscope import __version__
from marrowscope.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from distributed import Client, Future

MEMORY_A_WORKER = "3GiB"
"""A worker over this is restarted by Dask's nanny; one study needs about half."""

AHEAD = 2
"""Tasks a thread has waiting: enough to stay busy, few enough that 100,000 studies do not fill the scheduler."""

ALLOWED_DEATHS = 1
"""A study whose worker dies is tried once more, on a fresh worker; then it is reported and the rest goes on."""

QUIET = {"distributed.scheduler.allowed-failures": ALLOWED_DEATHS, "distributed.worker.profile.enabled": False}
"""Dask's settings of our own cluster. Its profiler keeps an hour of what every worker did, some 0.1 MB a second."""

CONNECT_SECONDS = 20

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def open_cluster(workers: int, scheduler: str) -> Iterator[Client]:
    """A client of the scheduler at an address, or of new worker processes on this machine.

    Raises:
        MissingExtraError: the ``cohort`` extra is not installed. UsageError: no scheduler answers there, or its workers
            have another marrowscope.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingExtraError(
            "the cohort extra is not installed", "Dask and pyarrow", "pip install 'marrowscope[cohort]'"
        ) from error
    if scheduler:
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise UsageError(f"no Dask scheduler at {scheduler}", "tcp://HOST:PORT", "dask scheduler") from error
        with client:
            check_versions(client.run(version, "marrowscope", on_error="return"))
            yield client
        return
    with dask.config.set(QUIET):
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=MEMORY_A_WORKER,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
            host="127.0.0.1",
            env={"MARROWSCOPE_THREADS": str(max(1, (os.cpu_count() or 1) // workers))},
        )
        with cluster, Client(cluster) as client:
            yield client


def check_versions(found: Mapping[str, str | BaseException]) -> None:
    """Whether the workers that are there have this marrowscope: others would never answer.

    Args:
        found: worker address to its marrowscope's version, or to the error that asking for it ended with.

    Raises:
        UsageError: a worker without marrowscope, or with another version.
    """
    other = {a: v if isinstance(v, str) else "none" for a, v in found.items() if v != __version__}
    if other:
        address, has = sorted(other.items())[0]
        raise UsageError(
            f"{len(other)} of {len(found)} workers with another marrowscope ({address}: {has})",
            f"marrowscope {__version__} on every worker",
            "install the same version where dask worker runs",
        )


def spread(
    client: Client, work: Callable[[Item], Result], items: Iterable[Item], name: str
) -> Iterator[tuple[Item, Result | BaseException]]:
    """Each item with its result, or with the error that ended it, as they come; a few tasks ahead of the workers.

    Args:
        work: a function a worker can import. name: of the tasks on Dask's dashboard.
    """
    from distributed import as_completed

    waiting = iter(enumerate(items))
    futures: dict[Future, Item] = {}
    ready = as_completed()

    def give(most: int) -> None:
        while len(futures) < most and (given := next(waiting, None)) is not None:
            future = client.submit(work, given[1], key=f"{name}-{given[0]}-{os.getpid()}", pure=False)
            futures[future] = given[1]
            ready.add(future)

    give(_room(client))
    for future in ready:
        item = futures.pop(future)
        error = future.exception()
        yield item, future.result() if error is None else error
        future.release()
        give(_room(client))


def _room(client: Client) -> int:
    threads: int = sum(client.nthreads().values())
    return AHEAD * max(1, threads)
