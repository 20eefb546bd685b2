"""Tasks: one function for many things, side by side on this machine's cores or on a Dask cluster.

Where something is computed is not part of what is computed: the results are the same. Of a cluster's workers a checkout
of the repository and the same files at the same paths are expected.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from stages.common.files import UserError

CONNECT_SECONDS = 10  # to wait for a Dask scheduler to answer
AHEAD = 256  # results of threads that wait to be read at most
TOPIC = "stages"  # of what a cluster's workers report
START = "forkserver" if sys.platform == "linux" else "spawn"  # macOS's own libraries may not survive a fork
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processor time, and of time

_told = None  # who hears of a task's reports; None in a cluster's worker


def cores() -> int:
    """Return how many cores this process may use, by its affinity and a container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no quota: "max", or no such file
        used, period = map(int, QUOTA.read_text(encoding="ascii").split())
        allowed = min(allowed, used // period)
    return max(1, allowed)


def cluster_address(scheduler: str | None) -> str | None:
    """Return the address of the Dask scheduler that the parameter or DASK_SCHEDULER_ADDRESS names; None: no cluster."""
    return scheduler or os.environ.get("DASK_SCHEDULER_ADDRESS") or None


def in_this_process(
    task: Callable[[Any], Any], items: Iterable[Any], told: Callable[[Any], None] | None = None
) -> Iterator[Any]:
    """Yield the results of `task`, one after the other."""
    global _told
    for item in items:
        _told = told or (lambda said: None)
        yield task(item)


def on_threads(task: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Yield the results of `task` in the items' order, from a thread a core: for work that lets go of Python's lock.

    No more than AHEAD of them wait for whoever reads them.
    """
    from concurrent.futures import ThreadPoolExecutor

    items = iter(items)
    with ThreadPoolExecutor(cores()) as pool:
        ahead = deque(pool.submit(task, item) for item in islice(items, AHEAD))
        try:
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(pool.submit(task, item) for item in islice(items, 1))
                yield result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def on_processes(
    task: Callable[[Any], Any],
    items: Iterable[Any],
    workers: int,
    preload: list[str],
    told: Callable[[Any], None] | None = None,
) -> Iterator[Any]:
    """Yield the results of `task` as they come, from processes that take the items in order.

    They end with this process, however it ends. On Linux they are forked from one that has imported `preload`, once for
    all; elsewhere each imports it.

    Args:
        task: a function that can be imported by its name.
        items: what to call it with.
        workers: how many processes.
        preload: modules.
        told: called with whatever a task gives to `report`, in a thread of its own.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from threading import Thread

    context = multiprocessing.get_context(START)
    context.set_forkserver_preload(preload)
    queue = context.SimpleQueue()
    listener = Thread(target=_listen, args=(queue, told or (lambda said: None)))
    with ProcessPoolExecutor(workers, context, _start_worker, (queue,)) as pool:
        listener.start()
        try:
            for future in as_completed([pool.submit(task, item) for item in items]):
                yield future.result()
        except BrokenProcessPool:
            raise UserError("a worker process was ended, perhaps for want of memory; run this again") from None
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            queue.put(None)
            listener.join()


def _listen(queue: Any, told: Callable[[Any], None]) -> None:
    while (said := queue.get()) is not None:
        told(said)


def _start_worker(queue: Any) -> None:
    import signal
    from threading import Thread

    global _told
    _told = queue.put
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    from multiprocessing import parent_process

    parent_process().join()
    os._exit(1)


def report(said: Any) -> None:
    """Tell whoever handed out this task how it goes; `said` is something that JSON holds."""
    if _told:
        _told(said)
    else:
        from distributed import get_worker

        get_worker().log_event(TOPIC, said)


def on_cluster(
    task: Callable[[Any], Any], items: Iterable[Any], address: str, told: Callable[[Any], None] | None = None
) -> Iterator[Any]:
    """Yield the results of `task` as they come, from a Dask cluster; what a dying worker had to do another does again.

    Args:
        task: a function that the workers can import by its name.
        items: what to call it with.
        address: of the scheduler; with tls:// Dask's own settings say which certificates to use.
        told: called with whatever a task gives to `report`, in a thread of its own.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise UserError("a Dask cluster needs the package distributed: pip install distributed") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, RuntimeError, TypeError, ValueError) as error:  # the middle two: amiss TLS settings
        raise UserError(
            f"{address}: found no Dask scheduler ({error}); start one with: dask scheduler, and the same TLS settings"
        ) from None
    with client:
        print(f"{len(client.scheduler_info()['workers'])} workers at {address}")
        if told:
            client.subscribe_topic(TOPIC, lambda event: told(event[1]))
        futures = client.map(task, list(items), retries=3, pure=False, batch_size=1000)
        try:
            for _, result in as_completed(futures, with_results=True):
                yield result
        except (ImportError, KilledWorker, RuntimeError) as error:
            raise UserError(
                f"{address}: the cluster could not run the tasks ({' '.join(str(error).split())}); start its scheduler "
                "and its workers in a checkout of this repository, with PYTHONPATH=. and the same versions as here"
            ) from None
