"""The command line: parsing over the library's functions, and every failure in one line (see `vidode.program`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vidode.cli.verbs import app
from vidode.program import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; its exit status."""
    return run(app, sys.argv[1:] if arguments is None else arguments, "vidode")
