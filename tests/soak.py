"""The soak: kill the pipeline at random, then hold every byte of what `make repro` makes of it to an undisturbed run.

`make soak` plays 100 rounds, test_kills.py three. A round starts from a copy of a small project that has run once: a
parameter changes, `dvc repro` or `dvc exp run` starts, and at a random moment KILL, TERM or INT strikes dvc, the
stage's process or all of them. What they leave running goes on. Then nothing but what the guides say: `git checkout
main` where HEAD is detached, perhaps another edit, and `make repro`. The seed and its number draw a round: it can be
played again.
"""

import argparse
import contextlib
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import psutil
import yaml
from repository import WITH_TIMES, Repository, set_params, small_project

BEFORE = {"lr": 0.05, "seed": 0, "split_seed": 0}
VALUES = (BEFORE, BEFORE | {"lr": 0.1}, BEFORE | {"seed": 1}, BEFORE | {"split_seed": 1})
COMMANDS = ("dvc repro", "dvc exp run")
TARGETS = ("dvc", "stage", "group")
SIGNALS = ("KILL", "TERM", "INT")
MORE_TRIES = 2  # of `make repro`: a stage may refuse what an orphan wrote meanwhile
PATIENCE = 300  # seconds, until a process counts as hanging
HELD = 4  # seconds
EXP_RUN_SECONDS = 1.5  # that `dvc exp run` takes longer than `dvc repro`


class Round(NamedTuple):
    """What happens in a round, and when: at a share of the time that an undisturbed run takes."""

    number: int
    command: str
    value: dict[str, float]
    signal: str
    target: str
    share: float
    then: dict[str, float] | None  # the edit between the kill and `make repro`
    held: bool  # whether an orphan that has begun stops for a while, as if it had more to do

    def __str__(self) -> str:
        then = ", its orphan held" * self.held + (f", then {in_short(self.then)}" if self.then else "")
        what = f"round {self.number}: {self.command}, {in_short(self.value)}, {self.signal} to {self.target}"
        return f"{what} at {self.share:.0%}{then}"


def in_short(value: dict[str, float]) -> str:
    """Return what a value has other than before."""
    return ", ".join(f"{key}={value[key]}" for key in BEFORE if value[key] != BEFORE[key]) or "as before"


class Outcome(NamedTuple):
    """How a round ended: whether the signal met anybody, what is wrong, how many more `make repro` it took."""

    round: Round
    met: bool
    faults: list[str]
    more_tries: int


class Reference(NamedTuple):
    """An undisturbed run: what it made and how long it took."""

    contents: dict[str, bytes]
    seconds: float


def draw(seed: int, number: int) -> Round:
    """Return a round of the soak that the seed draws."""
    rng = random.Random(f"{seed} {number}")
    command, value, name, target = map(rng.choice, (COMMANDS, VALUES[1:], SIGNALS, TARGETS))
    share, then, held = rng.random(), rng.choice((None, rng.choice(VALUES))), rng.random() < 0.5
    return Round(number, command, value, name, target, share, then, held and target == "dvc" and name != "INT")


class Soak:
    """A small project that has run once, with BEFORE, and the undisturbed runs of values."""

    def __init__(self, base: Repository, folder: Path, *programs: Path):
        """Work in copies of the project in `folder`; what is done after a kill may have programs of its own."""
        # Whoever starts this in the background has INT ignored, and so would dvc.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.base, self.folder, self.programs = base, folder, programs
        self.references: dict[tuple[float, ...], Reference] = {}

    def copy(self, name: str) -> Repository:
        """Return a copy of the project, to be played with."""
        shutil.copytree(self.base.folder, self.folder / name / "clone", symlinks=True)
        return Repository(self.folder / name / "clone")

    def run(self, value: dict[str, float]) -> None:
        """Run a value undisturbed."""
        repository = self.copy("-".join(["reference", *map(str, value.values())]))
        set_params(repository, **value)
        started = time.monotonic()
        repository.dvc("repro")
        self.references[tuple(value.values())] = Reference(contents(repository.folder), time.monotonic() - started)

    def play(self, each: Round) -> Outcome:
        """Play a round. If something is wrong, the project stays, and beside it log.txt with all that was printed."""
        repository = self.copy(f"round-{each.number}")
        met, faults, more_tries = False, [], 0
        with (repository.folder.parent / "log.txt").open("w") as log:
            try:
                group, met = self.strike(repository, each, log)
                faults, more_tries = recover(Repository(repository.folder, *self.programs), each, log)
                faults = faults or self.differences(repository)
                wait_for(lambda: not alive(group))
                faults = faults or [f"{line}, by an orphan" for line in self.differences(repository)]
                faults += [f"{name}: left behind" for name in leftovers(repository.folder)]
            except Exception as error:  # whatever it is, this round failed, and the others go on
                faults.append(repr(error))
        if not faults:
            shutil.rmtree(repository.folder.parent)
        return Outcome(each, met, faults, more_tries)

    def strike(self, repository: Repository, each: Round, log: IO[str]) -> tuple[int, bool]:
        """Start the round's command and send its signal; return the group of its processes, and whether it met one."""
        command = shlex.split(each.command)
        seconds = self.references[tuple(each.value.values())].seconds
        if "exp" in command:
            command += [part for key, value in each.value.items() for part in ("-S", f"{key}={value}")]
            seconds += EXP_RUN_SECONDS
        else:
            set_params(repository, **each.value)
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=repository.folder,
            env=repository.environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(each.share * seconds)
        stages = stages_of(process)
        met = send(process, getattr(signal, f"SIG{each.signal}"), each.target)
        print(
            f"--- {each}: {'met' if met else 'missed'} after {time.monotonic() - started:.2f} s", file=log, flush=True
        )
        if each.held:
            hold(stages)
        process.wait(PATIENCE)
        return process.pid, met

    def differences(self, repository: Repository) -> list[str]:
        """Return how what is there differs from the undisturbed run of the parameters that are there."""
        params = yaml.safe_load((repository.folder / "params.yaml").read_text())
        expected = self.references[tuple(params[key] for key in BEFORE)].contents
        found = contents(repository.folder)
        differing = [name for name in expected | found if expected.get(name) != found.get(name)]
        return [f"{name}: {fault(name, expected, found)}" for name in sorted(differing)]


def fault(name: str, expected: dict[str, bytes], found: dict[str, bytes]) -> str:
    """Return what is wrong with a file."""
    return "missing" if name not in found else "too much" if name not in expected else "differs"


def pool(function: Callable, items: Iterable) -> Iterable:
    """Apply the function to every item, as many at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        yield from executor.map(function, items)


def send(process: subprocess.Popen, number: int, target: str) -> bool:
    """Send a signal to dvc, to the stage that it runs or runs next, or to all; return whether anybody was there."""
    if process.poll() is not None:
        return False
    if target == "group":
        os.killpg(process.pid, number)
    elif target == "dvc":
        process.send_signal(number)
    else:
        stages: list[psutil.Process] = []
        wait_for(lambda: stages.extend(stages_of(process)) or stages or process.poll() is not None)
        try:
            stages[0].send_signal(number)
        except (IndexError, psutil.NoSuchProcess):
            return False
    return True


def stages_of(process: subprocess.Popen) -> list[psutil.Process]:
    """Return the stage's process, if one runs."""
    with contextlib.suppress(psutil.Error):
        return [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if any(part.startswith("stages.") for part in child.cmdline())
        ]
    return []


def hold(stages: list[psutil.Process]) -> None:
    """Stop the stages that have begun, that is, have their lock, and let them go on later."""
    for stage in stages:
        with contextlib.suppress(psutil.Error):
            if any(file.path.endswith("/data/tmp/lock") for file in stage.open_files()):
                stage.suspend()
                threading.Timer(HELD, let_go, [stage]).start()


def let_go(stage: psutil.Process) -> None:
    """Let a stopped process go on, if it is there."""
    with contextlib.suppress(psutil.Error):
        stage.resume()


def recover(repository: Repository, each: Round, log: IO[str]) -> tuple[list[str], int]:
    """Do what the guides say; return what went wrong, and how often `make repro` was needed again."""
    if say(repository, log, "git symbolic-ref --quiet HEAD") and (fault := say(repository, log, "git checkout main")):
        return [fault], 0
    if each.then:
        set_params(repository, **each.then)
    more_tries = 0
    # The recipe as it is; what it needs is installed already.
    while (fault := say(repository, log, "make -o .venv/.installed repro")) and more_tries < MORE_TRIES:
        more_tries += 1
    return [fault] if fault else [], more_tries


def say(repository: Repository, log: IO[str], command: str) -> str:
    """Run a command; return how it failed: its last lines, or "" if it did not."""
    print(f"--- {command}", file=log, flush=True)
    done = subprocess.run(
        shlex.split(command),
        cwd=repository.folder,
        env=repository.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    print(done.stdout, file=log, flush=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return f"`{command}` failed: {' | '.join(lines[-4:])}" if done.returncode else ""


def alive(group: int) -> bool:
    """Return whether a process of the group still runs."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def wait_for(happens: Callable[[], object]) -> None:
    """Wait until something happens.

    Raises:
        TimeoutError: if it does not.
    """
    deadline = time.monotonic() + PATIENCE
    while not happens():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened in {PATIENCE} s")
        time.sleep(0.01)


def files(folder: Path) -> Iterable[str]:
    """Yield every file of data/ and metrics/ as a path from the root."""
    for top in ("data", "metrics"):
        for path in sorted((folder / top).rglob("*")):
            if not path.is_dir():
                yield path.relative_to(folder).as_posix()


def is_temporary(name: str) -> bool:
    """Return whether a file is there only while a stage runs."""
    return name.startswith("data/tmp/") or ".tmp-" in name


def contents(folder: Path) -> dict[str, bytes]:
    """Return all that the chain made, but for the times."""
    return {
        name: (folder / name).read_bytes()
        for name in files(folder)
        if not (is_temporary(name) or name.endswith((".lock", *WITH_TIMES)))
    }


def leftovers(folder: Path) -> list[str]:
    """Return the temporary files that are there."""
    return [name for name in files(folder) if is_temporary(name) and not name.endswith("lock")]


def main() -> None:
    """Play rounds, print how each ended, and exit with 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", nargs="?", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None, help="draws the rounds; printed, to play them again")
    parser.add_argument("--only", type=int, default=None, metavar="ROUND", help="play this round alone")
    asked = parser.parse_args()
    seed = random.randrange(10**6) if asked.seed is None else asked.seed
    folder = Path(tempfile.mkdtemp(prefix="soak_"))
    print(f"seed {seed}; what fails stays in {folder}", flush=True)
    numbers = range(1, asked.rounds + 1) if asked.only is None else [asked.only]
    base = small_project(folder / "base" / "clone")
    set_params(base, epochs=8, snapshots="every", **BEFORE)
    base.dvc("repro")
    base.commit()
    soak, outcomes = Soak(base, folder), []
    list(pool(soak.run, VALUES))
    for outcome in pool(soak.play, [draw(seed, number) for number in numbers]):
        outcomes.append(outcome)
        missed, again = "" if outcome.met else ", too late", f", {outcome.more_tries} more `make repro`"
        how = "FAILED" if outcome.faults else "the same bytes"
        print(f"{outcome.round}: {how}{missed}{again if outcome.more_tries else ''}", flush=True)
        for line in outcome.faults[:8]:
            print(f"    {line}", flush=True)
    sys.exit(conclude(outcomes, seed))


def conclude(outcomes: list[Outcome], seed: int) -> int:
    """Print how all rounds ended and how to play the failed ones again; return how many those are, 1 at most."""
    met = [outcome.round for outcome in outcomes if outcome.met]
    failed = [outcome.round for outcome in outcomes if outcome.faults]
    for kind in ("command", "signal", "target"):
        print("kills: " + ", ".join(f"{n} {what}" for what, n in Counter(getattr(each, kind) for each in met).items()))
    more_tries = sum(outcome.more_tries for outcome in outcomes)
    print(f"{len(outcomes)} rounds, {len(met)} kills, {len(failed)} failed, {more_tries} more `make repro`")
    for each in failed:
        print(f"failed: {each}: python tests/soak.py --seed {seed} --only {each.number}")
    return min(len(failed), 1)


if __name__ == "__main__":
    main()
