"""The command line of a recipe: every setting of its attrs class, one clear message for what a person can put right.

tyro reads the class and its nested configurations, so that settings are dotted (`--trainer.steps 50`) and spelled
as in the code. Exit codes: 0 done, 1 a mistake in the program (with its traceback), 2 wrong settings or input,
130 Ctrl-C, 143 SIGTERM. Tracebacks of wrong input are in log.txt, and shown with `--debug` or GPTLAB_DEBUG=1.
"""

import contextlib
import difflib
import os
import signal
import sys
import threading
import traceback
import typing
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, TypeVar

import attrs
import tyro

from gptlab.experiment.errors import ExperimentError, explain_os_error
from gptlab.experiment.ranks import rank_from_environment
from gptlab.experiment.text import printable

S = TypeVar("S")

DEBUG_VARIABLE = "GPTLAB_DEBUG"


class Terminated(KeyboardInterrupt):
    """SIGTERM: a scheduler or a person asked the process to end; everything is put away as with Ctrl-C."""

    signal = signal.SIGTERM


def main(
    settings: type[S], run: Callable[[S], object], arguments: Sequence[str] | None = None, *, prog: str | None = None
) -> int:
    """Parse the command line, run the recipe, and turn what goes wrong into a message and an exit code.

    Args:
        settings: a frozen attrs class whose fields all have defaults.
        run: the recipe.
        arguments: without the program's name; those of the process when None.
        prog: how the program is called, for `--help`.

    Returns:
        The exit code, for `sys.exit`.

    >>> @attrs.frozen
    ... class Settings:
    ...     steps: int = 100
    >>> main(Settings, lambda settings: print(settings.steps), ["--steps", "7"])
    7
    0
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a title must not end a run on a terminal without Unicode
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    prog = prog if prog is not None else program_name()
    debug = "--debug" in arguments or os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")
    try:
        chosen = parse(settings, [each for each in arguments if each != "--debug"], prog=prog)
        with _sigterm_as_interrupt():
            run(chosen)
    except SystemExit as end:  # tyro's own: --help, or a value that cannot be read
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BrokenPipeError:  # `... --help | head`: who reads has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for the flush at exit
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost frame: all is shown, none is lost
        return report(error, debug=debug)
    return 0


def program_name() -> str | None:
    """How `python -m package.module` was called; None for a file, whose name argparse knows."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name}" if spec is not None else None


def parse(settings: type[S], arguments: Sequence[str], *, prog: str | None = None) -> S:
    """The settings that the arguments ask for.

    Raises:
        ExperimentError: for a setting that does not exist, with the nearest that does.
        SystemExit: from tyro, after `--help` or a message about a value.
    """
    text = " ".join((settings.__doc__ or "").strip().partition("\n\n")[0].split())
    chosen, unknown = tyro.cli(
        settings,
        args=list(arguments),
        prog=prog,
        description=f"{text}\n\n--debug shows the traceback of every error.",
        config=(tyro.conf.AvoidSubcommands,),
        use_underscores=True,
        return_unknown_args=True,
    )
    if unknown:
        raise _unknown(unknown, names_of(settings))
    return chosen


def names_of(settings: type[Any], prefix: str = "") -> list[str]:
    """The names of all settings, dotted.

    >>> @attrs.frozen
    ... class Inner:
    ...     steps: int = 1
    >>> @attrs.frozen
    ... class Outer:
    ...     trainer: Inner = Inner()
    ...     resume: bool = False
    >>> names_of(Outer)
    ['trainer.steps', 'resume']
    """
    hints, names = typing.get_type_hints(settings, include_extras=True), list[str]()
    for field in attrs.fields(settings):
        hint = hints.get(field.name, field.type)
        group = f"{prefix}{field.name}."
        if typing.get_origin(hint) is typing.Annotated:  # `FlatRunOptions`: its settings have no group
            hint, group = typing.get_args(hint)[0], prefix
        if field.init and isinstance(hint, type) and attrs.has(hint):
            names += names_of(hint, group)
        elif field.init:
            names.append(prefix + field.name)
    return names


def _unknown(unknown: Sequence[str], names: Sequence[str]) -> ExperimentError:
    first = next((each for each in unknown if each.startswith("--")), unknown[0])
    asked = first.lstrip("-").partition("=")[0].replace("-", "_")
    near = sorted((name for name in names if _likeness(asked, name) > 0.6), key=lambda name: -_likeness(asked, name))
    meant = f"Did you mean {' or '.join('--' + name for name in near[:3])}? " if near else ""
    is_option = first.startswith("-")
    return ExperimentError(
        f"there is no setting {first.partition('=')[0]}" if is_option else f"the argument {first!r}",
        got=" ".join(unknown),
        wanted="settings as --name value" + ("" if is_option else "; nothing is given by its place"),
        do=f"{meant}--help lists all of them.",
    )


def _likeness(asked: str, name: str) -> float:
    """From 0 to 1; the last parts count most, since the group is what people leave out or have right."""
    whole = difflib.SequenceMatcher(None, asked, name).ratio()
    return (
        0.8 * difflib.SequenceMatcher(None, asked.rpartition(".")[2], name.rpartition(".")[2]).ratio() + 0.2 * whole
    )


def is_for_users(error: BaseException) -> bool:
    """Whether the message says all that a person needs: it is gptlab's own, or has its four parts."""
    ours = type(error).__module__.partition(".")[0] == "gptlab"
    return ours or (isinstance(error, ValueError | TypeError) and "\n  wanted" in str(error))


def report(error: BaseException, *, debug: bool) -> int:
    """Say on standard error what went wrong, with the notes that were added on the way; the exit code."""
    notes = [str(note) for note in getattr(error, "__notes__", [])]
    if isinstance(error, KeyboardInterrupt):
        # An interrupt knows which signal it is of where that is known (`Terminated`, `TrainingStopped`).
        code, text = 128 + getattr(error, "signal", signal.SIGINT), f"Stopped. {error}".rstrip()
        if rank_from_environment() != 0:
            return code  # all ranks stop together: one of them says so
    elif is_for_users(error):
        code, text = 2, f"Error: {error}"
    elif isinstance(error, OSError) and error.errno is not None:
        code, text = 2, f"Error: {explain_os_error(error)}"
    else:
        code, debug = 1, True
        text = "This is a mistake in the program, not in what it was given; the lines above say where."
    if debug:
        traceback.print_exception(error)
    print(printable("\n".join([text, *([] if code == 1 else notes)])), file=sys.stderr)
    return code


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Terminated("The process was asked to end (SIGTERM).")

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former if former is not None else signal.SIG_DFL)
