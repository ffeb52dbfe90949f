"""How fast each model is on this machine, as milliseconds and as a share of what its matrix products reach.

    make bench

Every figure is a ratio or stands beside one: the same process first measures the machine's own rate (a large float32
matrix product), then each model's forward pass and training step at 64, 128 and 256 pixels. Operations are counted by
PyTorch's own counter (a multiplication and an addition are two). Each case runs in a process of its own, so that its
peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from vidode.clip import Batch
from vidode.models import Example, build, parameter_count
from vidode.provenance import provenance

MODELS = ("anchored_vid_ode", "vid_ode")
SIZES = (64, 128, 256)
OBSERVED, ASKED, CLIPS = 5, 5, 1
RESULTS = Path(__file__).parent / "results"


def seconds(work: Callable[[], object], runs: int = 5) -> float:
    """Median time of one call, after one that is not counted."""
    work()
    spent = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def matrix_rate(size: int = 2048) -> float:
    """Operations a second of a float32 matrix product."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / seconds(lambda: a @ b)


def operations(work: Callable[[], object]) -> int:
    """Floating-point operations of one call, as PyTorch counts them."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def example(size: int) -> Example:
    """Five frames in, five out: the paper's extrapolation."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(CLIPS, OBSERVED + ASKED, 3, size, size, generator=generator)
    times = torch.arange(OBSERVED + ASKED, dtype=torch.float64).expand(CLIPS, -1)
    seen = torch.ones(CLIPS, OBSERVED, dtype=torch.bool)
    batch = Batch(frames[:, :OBSERVED], times[:, :OBSERVED], seen)
    return Example(batch, times[:, OBSERVED:], frames[:, OBSERVED:], "extrapolation")


def measure(name: str, size: int, training: bool) -> dict[str, Any]:
    """One case: milliseconds, operations, rates and peak memory."""
    torch.manual_seed(0)
    machine = matrix_rate()
    model, data = build(name), example(size)
    model.train(training)
    objective = model.objective()

    def step() -> None:
        prediction = model(data.observed, data.query)
        terms = objective.critic_terms(data, prediction)
        if terms:
            torch.stack(list(terms.values())).sum().backward()
        torch.stack(list(objective.model_terms(data, prediction).values())).sum().backward()

    @torch.no_grad()
    def frames() -> None:
        model(data.observed, data.query)

    work = step if training else frames
    counted, spent = operations(work), seconds(work)
    made = 1 if training else CLIPS * ASKED
    return {
        "model": name,
        "case": "training step" if training else "frame",
        "pixels": size,
        "parameters": parameter_count(model),
        "milliseconds": round(1e3 * spent / made, 2),
        "gflop": round(counted / made / 1e9, 3),
        "gflop_per_second": round(counted / spent / 1e9, 1),
        "machine_gflop_per_second": round(machine / 1e9, 1),
        "share_of_machine": round(counted / spent / machine, 3),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *[[str(row[head]) for head in heads] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> None:
    """Measure every case in a process of its own and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=3, metavar=("MODEL", "SIZE", "TRAINING"), help="measure one case, print JSON")
    chosen = parser.parse_args().case
    if chosen:
        sys.stdout.write(json.dumps(measure(chosen[0], int(chosen[1]), chosen[2] == "1")))
        return
    rows = []
    for training in (False, True):
        for name in MODELS:
            for size in SIZES:
                command = [sys.executable, __file__, "--case", name, str(size), str(int(training))]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.append(json.loads(done.stdout))
                sys.stderr.write(f"{name} {size} {'step' if training else 'frame'}: {rows[-1]['milliseconds']} ms\n")
    RESULTS.mkdir(exist_ok=True)
    facts = {**provenance("make bench"), "processor": platform.processor() or platform.machine(), "rows": rows}
    (RESULTS / "speed.json").write_text(json.dumps(facts, indent=2) + "\n")
    (RESULTS / "speed.md").write_text(table(rows))
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    main()
