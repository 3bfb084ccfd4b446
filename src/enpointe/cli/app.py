"""The parser of all commands, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from enpointe import __version__
from enpointe.cli.console import warnings_on_stderr
from enpointe.core.errors import EnpointeError, InputError

COMMANDS = {
    "generate": "make a cloud and a mesh from a prompt or an image",
    "mesh": "make a mesh from a cloud",
    "upsample": "make a cloud denser",
    "view": "look at a cloud or a mesh",
    "train": "train a model",
    "evaluate": "measure how good a model, or a folder of clouds, is",
    "data": "look at the training data, or make it",
    "models": "list, download, import and export weights",
}
"""Modules of this package, and what the list of commands says of each."""
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class Parser(argparse.ArgumentParser):
    """argparse's parser, but a wrong argument is an InputError: one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see '{self.prog} --help')")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of one of the COMMANDS; its module alone is imported. Without one it lists them."""
    parser = Parser(
        prog="enpointe",
        description="A prompt becomes a colored 3D point cloud and a mesh.",
        epilog="'enpointe COMMAND --help' explains a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"enpointe {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, line in COMMANDS.items():
        if name == command:
            import_module(f"enpointe.cli.{name}").add_parser(commands)
        else:
            commands.add_parser(name, help=line)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns 0, 2 for a user's error (one line on stderr says which), or 130 for Ctrl-C."""
    in_main_thread = threading.current_thread() is threading.main_thread()  # no other may set handlers
    previous = signal.signal(signal.SIGTERM, _terminate) if in_main_thread else None
    try:
        with warnings_on_stderr():
            words = sys.argv[1:] if arguments is None else arguments
            options = build_parser(next((word for word in words if word[:1] != "-"), None)).parse_args(words)
            options.run(options)
        sys.stdout.flush()
    except EnpointeError as error:
        return _fail(f"error: {_one_line(error)}", EXIT_BAD_INPUT)
    except BrokenPipeError:
        # Whoever read our output has gone; without this Python complains once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # What the system refuses (a name too long, a file that may not be read) is not a fault of the program.
        return _fail(f"error: {_one_line(error)}", EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, previous)
    return 0


def _terminate(_signal: int, _frame: object) -> NoReturn:
    """SIGTERM unwinds like Ctrl-C does, so that temporary files are removed."""
    sys.exit(EXIT_TERMINATED)


def _fail(line: str, code: int) -> int:
    print(f"enpointe: {line}", file=sys.stderr)
    return code


def _one_line(error: BaseException) -> str:
    """The message on one line, with whatever a terminal would not show as text spelled out."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
