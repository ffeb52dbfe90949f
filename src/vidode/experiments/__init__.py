"""Tables and figures, one file each: `python -m vidode.experiments.NAME --help`."""
