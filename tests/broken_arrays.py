"""Arrays of a prepared data set, damaged as disks and people damage them."""

import numpy as np


def broken_array(path, damage):
    """Damage an .npy file in a way that any array can be."""
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"\x99")
    elif damage == "header":  # a dictionary that does not end
        path.write_bytes(path.read_bytes().replace(b"}", b"(", 1))
    elif damage == "archive":
        np.savez(path.with_suffix(".npz"), frames=np.load(path))
        path.with_suffix(".npz").replace(path)
    elif damage == "gone":
        path.unlink()
    else:
        raise ValueError(damage)
