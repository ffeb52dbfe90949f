"""The program around a verb or an experiment: every failure is one line on standard error, and a status.

The line says what was got, what was expected and what to type instead; the status is 2, after Ctrl-C 130. Whatever was
being written is gone by then.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from cyclopts import App, CycloptsError, Token

BAD_INPUT = 2
INTERRUPTED = 130
TERMINATED = 143


class _Terminated(BaseException):
    """The process was asked to end (SIGTERM): what is being written is discarded on the way out, as for Ctrl-C."""


def program(**options: Any) -> App:
    """A parser that leaves every failure to `run`."""
    return App(
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        **options,
    )


def run(app: App, tokens: Sequence[str], command: str) -> int:
    """Carry out what the words say; the exit status. command: what is typed before them."""
    try:
        with _heeding_termination():
            app(list(tokens))
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        return _fail(str(error) or "interrupted; nothing half-written was left", INTERRUPTED)
    except _Terminated:
        return _fail("asked to end; nothing half-written was left", TERMINATED)
    except CycloptsError as error:
        verb = tokens[0] + " " if tokens and not tokens[0].startswith("-") and tokens[0] in app else ""
        return _fail(f"{error} See '{command} {verb}--help'.", BAD_INPUT)
    except BrokenPipeError:
        # Whoever read the output has gone, and Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail("the output was closed before all was written to it", BAD_INPUT)
    except (ValueError, OSError, ArithmeticError) as error:
        if not _is_for_the_user(error):
            raise
        return _fail(_in_words(error), BAD_INPUT)
    return 0


def run_module(module: str, main: Callable[..., None], *verbs: Callable[..., None]) -> NoReturn:
    """The end of a module that is started with `python -m`: parse what `main` takes, or one of the verbs, and exit."""
    app = program(help_format="plaintext")
    app.default(main)
    for verb in verbs:
        app.command(verb)
    sys.exit(run(app, sys.argv[1:], f"python -m {module}"))


def whole(kind: Any, tokens: Sequence[Token]) -> int:
    """A whole number as it was typed, never a rounded one; a converter of cyclopts."""
    word = tokens[0].value
    try:
        return int(word)
    except ValueError as error:
        raise ValueError(f"{word!r}; expected a whole number") from error


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"vidode: {' '.join(message.split())}\n")
    return status


def _is_for_the_user(error: Exception) -> bool:
    """Whether it is about what was typed, a file or the data, and not a fault of this program."""
    from vidode.clip import InvalidInput, NumericalError

    return isinstance(error, (InvalidInput, NumericalError, OSError))


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            f"{error.filename or 'the output'}: the disk is full ({error.strerror}); free space, or use another place"
        )
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the system'}: {error.strerror}; free what is in the way or use another place"
    return str(error)


@contextmanager
def _heeding_termination() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
