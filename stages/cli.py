"""genre: the command line, `genre --help`. A function a command; what a command does is in its room."""

import argparse
import sys
from pathlib import Path

from stages.common.files import UserError
from stages.common.running import fast_imports, run_command


def main() -> None:
    """Run the command that the command line names."""
    run_command(lambda: run(sys.argv[1:]))


def run(words: list[str]) -> None:
    """Run a command, given as words."""
    arguments = parse(words)
    arguments.command(arguments)


def predict(arguments: argparse.Namespace) -> None:
    """Name the genres of songs, second by second."""
    with fast_imports():
        from stages.listening.predict import predict

    predict(arguments)


def judge(arguments: argparse.Namespace) -> None:
    """Judge a model on labelled songs outside its data set."""
    with fast_imports():
        from stages.listening.judge import judge

    judge(arguments)


def splits(arguments: argparse.Namespace) -> None:
    """Print mean and spread of the scores over several splits."""
    from stages.reporting.splits import print_splits, run_splits

    if arguments.n is not None:
        run_splits(arguments.n)
    print_splits()


def export(_: argparse.Namespace) -> None:
    """Write each model that accepts audio as an ONNX file, from sound to probabilities."""
    with fast_imports():
        from stages.listening.onnx import export

    export()


def page(_: argparse.Namespace) -> None:
    """Write the models as one HTML file that names the genres of songs in a browser."""
    with fast_imports():
        from stages.listening.page.build import write_page

    write_page()


def fix(_: argparse.Namespace) -> None:
    """Repair what an interrupted dvc left behind, so that the next one starts."""
    from stages.upkeep.fix import fix

    fix()


class Parser(argparse.ArgumentParser):
    """A parser that reports a wrong command line in one line, as every other error."""

    def error(self, message: str) -> None:
        """Raise a UserError."""
        raise UserError(f"{message}; see {self.prog} --help")


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser("genre", description="Name the genre of music, second by second.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    parsers = {}
    for command in (predict, judge, splits, export, page, fix):
        text = command.__doc__
        parsers[command] = commands.add_parser(command.__name__, help=text[0].lower() + text[1:-1], description=text)
        parsers[command].set_defaults(command=command)
    add, file = parsers[predict].add_argument, {"type": Path, "metavar": "FILE"}
    add("songs", nargs="+", type=Path, help="audio files, or folders of them")
    add("--representation", help="which model listens (default: the one with the best validation score)")
    add("--hop", type=float, default=1.0, help="seconds from one window to the next (default 1)")
    add("--unknown", type=float, default=0.0, metavar="0.6", help="the probability below which a genre is unknown")
    add("--smooth", type=float, default=0.0, metavar="5", help="judge a second with its neighbours in so many seconds")
    add("--seconds", action="store_true", help="print every second's probabilities")
    add("--csv", **file, help="write a table with a line for each song")
    add("--seconds-csv", **file, help="write a table with a line for each second")
    add("--json", **file, help="write songs and seconds as JSON")
    add("--m3u", type=Path, metavar="FOLDER", help="write a playlist for each genre")
    add("--plot", type=Path, metavar="FILE.png|FOLDER", help="draw the probabilities over time")
    several = "run the pipeline for split_seed 0 to N - 1 first, each in a copy of the repository"
    parsers[splits].add_argument("n", nargs="?", type=int, metavar="N", help=several)
    add = parsers[judge].add_argument
    add("folder", type=Path, help="songs in FOLDER/CLASS/, or anywhere in FOLDER with FOLDER/tracks.csv, as data/audio")
    add("--representation", help="which model is judged (default: the one with the best validation score)")
    add("--csv", **file, help="write a table of the songs, the surest mistakes first")
    add("--json", **file, help="write all scores and the confusion as JSON")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
