"""Tasks: one function for many things, side by side on this machine's cores or on a Dask cluster.

Where something is computed is not part of what is computed: the results are the same. Of a cluster's workers a checkout
of the repository and the same files at the same paths are expected.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.common.files import UserError

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

CONNECT_SECONDS = 10  # to wait for a Dask scheduler to answer
AHEAD = 256  # results that may wait to be read
START = "forkserver" if sys.platform == "linux" else "spawn"  # macOS's own libraries may not survive a fork
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processor time, and of time

Task = Callable[[Any], Any]  # that can be imported by its name
Hear = Callable[[Any], None]  # is called with what a task gives to `report`

_hear: Hear | None = None  # of this process; a cluster's worker has none


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


def in_this_process(task: Task, items: Iterable[Any], hear: Hear | None = None) -> Iterator[Any]:
    """Yield the results of `task`, one after the other."""
    global _hear
    _hear = hear
    yield from map(task, items)


def on_threads(task: Task, items: Iterable[Any]) -> Iterator[Any]:
    """Yield the results of `task` in the items' order, from one thread per core: for work that releases Python's lock.

    At most AHEAD results wait to be read.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(cores()) as pool:
        try:
            yield from _in_order(pool, task, items)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _in_order(pool: "Executor", task: Task, items: Iterable[Any]) -> Iterator[Any]:
    items = iter(items)
    ahead = deque(pool.submit(task, item) for item in islice(items, AHEAD))  # which starts processes, if it is to
    return _results(pool, task, items, ahead)


def _results(pool: "Executor", task: Task, items: Iterator[Any], ahead: "deque[Future]") -> Iterator[Any]:
    while ahead:
        result = ahead.popleft().result()
        ahead.extend(pool.submit(task, item) for item in islice(items, 1))
        yield result


def get_ready(preload: list[str]) -> None:
    """Start the process that others are forked from, so that it imports modules meanwhile; elsewhere do nothing."""
    import multiprocessing

    if START == "forkserver":
        multiprocessing.get_context(START).set_forkserver_preload(["stages.common.importing", *preload])
        with interrupts_held():
            pass


def on_processes(
    task: Task, items: Iterable[Any], workers: int, preload: list[str], hear: Hear | None = None
) -> Iterator[Any]:
    """Yield the results of `task` in the items' order, from several processes; at most AHEAD results wait to be read.

    They end with this process, however it ends. On Linux they are forked from one that has imported the modules
    `preload`; elsewhere each process imports them. `hear` is called in a separate thread.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from threading import Thread

    context = multiprocessing.get_context(START)
    get_ready(preload)
    try:
        queue = context.SimpleQueue()
    except OSError as error:  # which names no file
        raise UserError(f"/dev/shm: {error.strerror}; expected a place where processes can share locks") from None
    # After a failure the listener is not stopped: a worker that was killed as it reported keeps the queue locked.
    listener = Thread(target=_listen, args=(queue, hear or (lambda said: None)), daemon=True)
    with ProcessPoolExecutor(workers, context, _start_worker, (queue,)) as pool:
        listener.start()
        try:
            with interrupts_held():
                results = _in_order(pool, task, items)
            yield from results
        except BrokenProcessPool:
            raise UserError("a worker process was ended, perhaps because memory ran out; run this again") from None
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        queue.put(None)
        listener.join()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while workers start; the process that they are forked from ignores it, as they do later.

    Otherwise it would interrupt their imports, and each would print a traceback.
    """
    import signal
    from multiprocessing import forkserver

    came = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which new processes take over
    try:
        if START == "forkserver":
            forkserver.ensure_running()
            signal.signal(signal.SIGINT, lambda *_: came.append(True))
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _listen(queue: Any, hear: Hear) -> None:
    while (said := queue.get()) is not None:
        hear(said)


def _start_worker(queue: Any) -> None:
    import gc
    import signal
    from threading import Thread

    global _hear
    _hear = queue.put
    gc.freeze()  # all that stages/common/importing.py let in
    gc.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    from multiprocessing import parent_process

    parent_process().join()
    os._exit(1)


def report(said: Any) -> None:
    """Report progress to the process that started this task; a cluster's workers report only when they are done."""
    if _hear:
        _hear(said)


def on_cluster(task: Task, items: Iterable[Any], address: str) -> Iterator[Any]:
    """Yield the results of `task` as they come, from a Dask cluster; if a worker dies, another repeats its work.

    The address is that of the scheduler; with tls:// Dask's own settings say which certificates to use.
    """
    from concurrent.futures import as_completed

    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UserError("a Dask cluster needs the package distributed: pip install distributed") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, RuntimeError, TypeError, ValueError) as error:  # the middle two: wrong TLS settings
        raise UserError(
            f"{address}: found no Dask scheduler ({error}); start one with: dask scheduler, and the same TLS settings"
        ) from None
    with client, client.get_executor(retries=3, pure=False) as pool:
        print(f"{len(client.scheduler_info()['workers'])} workers at {address}")
        try:
            futures = [pool.submit(task, item) for item in items]
            yield from (future.result() for future in as_completed(futures))
        except (ImportError, KilledWorker, RuntimeError) as error:
            raise UserError(
                f"{address}: the cluster could not run the tasks ({' '.join(str(error).split())}); start its scheduler "
                "and its workers in a checkout of this repository, with PYTHONPATH=. and the same versions as here"
            ) from None
