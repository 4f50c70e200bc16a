"""The command line: the window by default, and commands for people and scripts."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_STARTED = time.perf_counter()

from app import __version__  # noqa: E402 # the clock above counts from the first line
from app.domain.errors import FathomError  # noqa: E402
from app.domain.ids import BOOK_MARKETS  # noqa: E402

COMMANDS = ("desktop", "book", "replay", "import-capture", "settings", "doctor", "sim")
SIMULATORS = ("binance", "bybit", "hyperliquid", "tws", "portal", "ibkr")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("everywhere")
    group.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE", help="override a setting"
    )
    group.add_argument("--basedir", metavar="DIR", help="keep all state in this folder")
    parser = argparse.ArgumentParser(
        prog="fathom", description="Depth workstation that always says how far a book is known."
    )
    parser.add_argument("--version", action="version", version=f"Fathom {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    desktop = commands.add_parser("desktop", parents=[common], help="open the window (the default)")
    source = desktop.add_mutually_exclusive_group()
    source.add_argument("--demo", action="store_true", help="run on a simulated venue on this machine")
    source.add_argument("--replay", type=Path, metavar="FILE", help="show a recording instead of the venues")
    desktop.add_argument("--record", type=Path, metavar="FILE", help="write every frame and REST answer to this file")
    desktop.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="pace of the replay: 1, 20, ... or max")
    desktop.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the demo's market")
    desktop.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="[VENUE/]NAME@SECONDS",
        help="let a venue of the demo fail on command",
    )
    desktop.add_argument("--screenshot", type=Path, metavar="DIR", help="save pictures of the window and its panels")
    desktop.add_argument("--layout", metavar="NAME", help="open this layout, e.g. Market")
    desktop.add_argument("--measure", type=Path, metavar="FILE", help="write latency and load figures as JSON")
    desktop.add_argument("--after", type=float, metavar="S", help="seconds until --screenshot, --measure and --quit")
    desktop.add_argument("--quit", action="store_true", help="stop after that")

    book = commands.add_parser("book", parents=[common], help="replay a recording and print one book")
    book.add_argument("--recording", type=Path, required=True, metavar="FILE")
    book.add_argument("--market", required=True, choices=[market.value for market in BOOK_MARKETS])
    book.add_argument("--symbol", required=True)

    replay = commands.add_parser("replay", parents=[common], help="replay a recording and print minutes and indicators")
    replay.add_argument("file", type=Path)

    capture = commands.add_parser("import-capture", parents=[common], help="turn captures of others into a recording")
    capture.add_argument("files", nargs="+", metavar="FILE")
    capture.add_argument("-o", "--output", type=Path, required=True, metavar="REC")
    capture.add_argument("--market", choices=("spot", "usdm"), help="take Binance's captures as of this market")

    settings = commands.add_parser("settings", parents=[common], help="print every setting")
    doctor = commands.add_parser("doctor", parents=[common], help="look at every connection and say what is wrong")
    doctor.add_argument(
        "--login", action="store_true", help="log in to TWS for the look, with a client id of its own (reads only)"
    )
    for command in (book, replay, capture, settings, doctor):
        command.add_argument("--json", action="store_true", help="print one JSON document")

    sim = commands.add_parser("sim", help="run a simulated venue or broker on this machine")
    sim.add_argument("venue", choices=SIMULATORS)
    sim.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("expected a number above 0, or max")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return the exit code; errors are sentences on standard error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    named = next((word for word in arguments if not word.startswith("-")), None)
    if arguments[:1] == ["sim"] and arguments[1:] and arguments[1] in SIMULATORS:
        return _guarded(lambda: _sim(arguments[1], arguments[2:]), as_json="--json" in arguments)
    if named not in COMMANDS and not {"-h", "--help", "--version"} & set(arguments):
        arguments.insert(0, "desktop")
    elif named is not None and arguments[0] != named and named in COMMANDS:
        arguments.remove(named)
        arguments.insert(0, named)
    args = build_parser().parse_args(arguments)
    return _guarded(lambda: _run(args), as_json=getattr(args, "json", False))


def _guarded(work: object, *, as_json: bool) -> int:
    assert callable(work)
    try:
        return int(work())
    except FathomError as error:
        if as_json:
            print(json.dumps({"error": str(error)}))
        print(f"fathom: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the last resort: a sentence for the user, the traceback for the log
        logging.getLogger("fathom").critical("unexpected error", exc_info=error)
        print(f"fathom: something unexpected went wrong ({type(error).__name__}: {error})", file=sys.stderr)
        return 70


def _run(args: argparse.Namespace) -> int:
    from app.paths import Paths
    from app.settings.store import Settings

    demo = args.command == "desktop" and args.demo
    paths = Paths.of(args.basedir, "demo" if demo and not args.basedir else "")
    if args.command == "desktop":
        return _desktop(args, paths)
    settings = Settings(paths.settings if args.basedir or args.command in ("settings", "doctor") else None)
    settings.override(args.assignments)
    args.sample_ms = settings.whole("books.sample_ms")
    if args.command == "settings":
        from app.commands.settings import show

        return show(args, settings)
    if args.command == "doctor":
        from app.commands.doctor import doctor

        return doctor(args, settings, paths)
    from app.commands import replaying

    commands = {"book": replaying.book, "replay": replaying.replay, "import-capture": replaying.import_capture}
    return commands[args.command](args)


def _desktop(args: argparse.Namespace, paths: object) -> int:
    from app import logs
    from app.compose import DesktopOptions, run_desktop
    from app.demo import DemoOptions
    from app.paths import Paths
    from app.settings.store import Settings

    assert isinstance(paths, Paths)
    try:
        paths.create()
    except OSError as error:
        raise FathomError(f"the folder {paths.base} cannot be used: {error.strerror or error}") from error
    settings = Settings(paths.settings)
    settings.override(args.assignments)
    logs.set_up(paths.logs, settings.text("log.level"))
    if args.replay is not None and not args.replay.is_file():
        raise FathomError(f"there is no recording {args.replay}")
    options = DesktopOptions(
        settings=settings,
        paths=paths,
        demo=args.demo,
        demo_options=DemoOptions(seed=args.seed, faults=tuple(args.fault)),
        record=args.record,
        replay=args.replay,
        speed=args.speed,
        screenshots=args.screenshot,
        after_s=args.after,
        quit_after=args.quit,
        measure=args.measure,
        layout=args.layout,
        started=_STARTED,
    )
    return run_desktop(options)


def _sim(word: str, arguments: list[str]) -> int:
    from app.commands import simulate

    return simulate.run(word, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
