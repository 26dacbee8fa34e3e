"""Entry point: runs a verb and turns whatever happens into one line and an exit status.

Status 0: done. 2: bad input or usage, one line with the mend and no traceback. 1: a defect of ours,
with its traceback. 130: stopped with Ctrl-C, as shells expect.
"""

from __future__ import annotations

import difflib
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import typer

from ..errors import UserError
from ..progress import say
from . import export, motion, portrait, system, training
from .quiet import quiet_native_libraries

USAGE, DEFECT, STOPPED = 2, 1, 130

# What to say after Ctrl-C, by verb. Everything else writes its result in one go at the end.
_RESUME = {
    "prepare": "the stages done so far are kept; run the same command again to go on",
    "demo": "the stages done so far are kept; run the same command again to go on",
    "fit": "run the same command with --resume to go on from the checkpoint",
    "prepare-corpus": "finished shards are kept; run the same command again to go on",
    "train-motion": "run the same command again to go on from the checkpoint",
}

app = typer.Typer(
    name="geneface",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A personal talking portrait: a portrait video in, that person speaking new audio out.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from ..version import version

        print(f"geneface {version()}")
        raise typer.Exit()


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version.")
) -> None:
    pass


portrait.add_to(app)
export.add_to(app)
motion.add_to(app)
training.add_to(app)
system.add_to(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Args:
        arguments: those after the program's name; by default the process's own.
    """
    # MediaPipe 0.10.14 calls what protobuf is about to take away; the pinned protobuf has it.
    for message in ("SymbolDatabase.GetPrototype", "MessageFactory class"):
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
    warnings.formatwarning = _one_line
    with quiet_native_libraries():
        status = run(sys.argv[1:] if arguments is None else list(arguments))
    raise SystemExit(status)


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning without the place in the source, which says nothing to whom it warns."""
    return f"warning: {' '.join(str(message).split())}\n"


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    command = typer.main.get_command(app)
    verb = next((word for word in arguments if not word.startswith("-")), "")
    name = _name(command, arguments)
    try:
        result = command.main(args=arguments, prog_name="geneface", standalone_mode=False)
        return _stopped(name, verb) if result == STOPPED else result if isinstance(result, int) else 0
    except typer.Exit as done:
        return _stopped(name, verb) if done.exit_code == STOPPED else done.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _stopped(name, verb)
    except UserError as error:
        return _fail(name, str(error))
    except typer.TyperException as error:
        return _usage(error, name)
    except BrokenPipeError:  # the reader of our output has gone, as in `geneface doctor | head`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        return DEFECT
    except OSError as error:
        mend = _MENDS.get(error.errno)
        if mend is not None:
            where = f"{error.filename}: " if error.filename else ""
            return _fail(name, f"{where}{error.strerror}; {mend}")
        return _defect(name, error)
    except MemoryError:
        return _fail(name, "out of memory; close other programs, or use a smaller --size")
    except Exception as error:  # the last resort: a defect is reported as one, never as the user's fault
        return _defect(name, error)


def _name(command, arguments: list[str]) -> str:
    """What was called, as far as it is known: "geneface motion edit"."""
    name = "geneface"
    for word in arguments:
        if word not in getattr(command, "commands", {}):
            break
        command, name = command.commands[word], f"{name} {word}"
    return name


_MENDS = {
    errno.ENOSPC: "free some space on the disk, or write somewhere else",
    errno.EDQUOT: "free some space in your quota, or write somewhere else",
    errno.EACCES: "choose a place you may write to",
    errno.EPERM: "choose a place you may write to",
    errno.EROFS: "choose a place that can be written to",
}


def _stopped(name: str, verb: str) -> int:
    """After Ctrl-C, which typer reports as status 130 or as an exception, depending on where it struck."""
    say(f"{name}: stopped; {_RESUME.get(verb, 'no output was written')}")
    return STOPPED


def _fail(name: str, message: str) -> int:
    """One line, whatever the message came from."""
    say(f"{name}: {' '.join(message.split())}")
    return USAGE


def _defect(name: str, error: Exception) -> int:
    traceback.print_exception(error, file=sys.stderr)
    say(
        f"{name}: a defect of geneface, not of your input: {type(error).__name__}: {' '.join(str(error).split())}; "
        "please report it with the lines above"
    )
    return DEFECT


def _usage(error: typer.TyperException, name: str) -> int:
    """What was wrong with the command line, with the nearest known word where one was misspelt."""
    context = getattr(error, "ctx", None)
    command = getattr(context, "command", None)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if not message.strip():  # no arguments at all: the help has been asked for
        error.show()
        return USAGE
    hint = ""
    option = getattr(error, "option_name", None)
    if "No such option" in message and command is not None:
        known = [word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)]
        # A misspelling, or another program's word for it: look from both ends.
        nearest = difflib.get_close_matches(str(option), known, n=1)
        message = f"no such option {option}"
        hint = f"did you mean {nearest[0]}?" if nearest else ""
    elif "No such command" in message:
        wrong = message.partition("'")[2].partition("'")[0]
        known = list(getattr(command, "commands", {}))
        nearest = difflib.get_close_matches(wrong, known, n=1)
        message = f"no verb {wrong!r}"
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(known)}"
    line = message.replace("Value error, ", "").rstrip(".").strip()
    line = line[:1].lower() + line[1:]
    return _fail(name, "; ".join(part for part in (line, hint, f"see {name} --help") if part))
