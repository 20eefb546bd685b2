"""Several songs, each analysed by one process: threads would wait for each other, as PyAV takes Python's lock often.

Two threads are slower than one, two processes nearly twice as fast.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

from stages.audio.decode import why_unusable
from stages.common import tasks
from stages.common.files import UserError
from stages.common.running import fast_imports
from stages.listening.listener import Listener, Song

PRELOAD = ["av", "scipy.fft", "torch", "stages.listening.several"]  # what takes long to import


def get_ready(songs: int) -> None:
    """Import what a listener needs here, and meanwhile in the process that those for so many songs are forked from."""
    if processes_for(songs) > 1:
        tasks.get_ready(PRELOAD)
    with fast_imports():  # Ctrl-C amid it would otherwise abort the process
        import torch  # noqa: F401


def processes_for(songs: int) -> int:
    """Return how many processes analyse so many songs: to start them takes as long as to hear two or three."""
    return max(1, min(tasks.cores(), songs // 2))


def listen_to_all(listener: Listener, paths: list[Path]) -> Iterator[tuple[Path, Song | UserError]]:
    """Yield each song, or why it cannot be analysed, in the order of the paths; one thread analyses a song."""
    import torch
    from threadpoolctl import threadpool_limits

    processes = processes_for(len(paths))
    if processes > 1:
        songs = tasks.on_processes(partial(listen_as, listener.settings), paths, processes, PRELOAD)
        yield from zip(paths, songs, strict=True)
        return
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield from ((path, listen_to(listener, path)) for path in paths)


def listen_as(settings: tuple, path: Path) -> Song | UserError:
    """Return a song as a listener of these settings hears it, or why it cannot be analysed."""
    return listen_to(alone(settings), path)


@lru_cache(1)
def alone(settings: tuple) -> Listener:
    """Return the listener of a process that does nothing else, on one thread: batches are too small for more."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
    return Listener(*settings)


def listen_to(listener: Callable[[Path], Song], path: Path) -> Song | UserError:
    """Return a song, or why it cannot be analysed: one song's error does not stop the others."""
    try:
        return listener(path)
    except UserError as error:
        return error
    except Exception as error:
        return UserError(f"{path}: {why_unusable(error)}")
