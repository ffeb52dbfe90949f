"""`python -m vidode`, the same as `vidode`."""

import sys

from vidode.cli import main

sys.exit(main())
