"""Run experiments: carry out the jobs that they share, once each, and write their pages."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from itertools import islice
from pathlib import Path

from vidode.blocks.perceptual import Lpips
from vidode.experiments import paper
from vidode.experiments.reproduction.curves import learning
from vidode.experiments.reproduction.jobs import Job, Outcome, Places, carry_out, require_data
from vidode.experiments.reproduction.outcomes import PROTOCOL, Outcomes
from vidode.experiments.reproduction.scales import Scale
from vidode.experiments.reproduction.sharing import in_turn
from vidode.provenance import command_line, require_writable, write_text

log = logging.getLogger(__name__)

FEW = 100
"""Updates, below which nothing is learned."""


def chosen(names: Iterable[str]) -> list[str]:
    """The experiments of these names; "all" is every one. Raises `InvalidInput` naming the closest."""
    every = paper.names()
    wanted = [each for name in names for each in (every if name == "all" else [name])]
    for name in wanted:
        paper.experiment(name)
    return list(dict.fromkeys(wanted))


def reproduce(names: Iterable[str], scale: Scale, places: Places, lpips: Lpips | None = None) -> list[Path]:
    """Train and measure what is missing, and write a page for each experiment as soon as its rows are there.

    What was cut off goes on where it stopped, and several processes that are started alike share the rows. The pages'
    paths. Raises `InvalidInput` for an unknown name, for missing data, and for folders that cannot be written.
    """
    needed = {name: paper.experiment(name).jobs(scale) for name in chosen(names)}
    written = [*(places.results / f"{name}.md" for name in needed), places.results / "rows" / "row.json"]
    for path in (*written, places.results / "answers" / "answer.safetensors", places.runs / scale.name / "run"):
        require_writable(path)
    require_data((job for jobs in needed.values() for job in jobs), places)
    every = {job.name: job for jobs in needed.values() for job in jobs}
    showing = {job.name: [name for name, jobs in needed.items() if job in jobs] for job in every.values()}
    work = {name: partial(_made, job, showing[name], scale, places, lpips) for name, job in every.items()}
    locks = places.runs / scale.name
    made = in_turn(work, lambda name: locks / f"{every[name].run_name}.lock")
    done: dict[str, Outcome] = {}
    pages: dict[str, Path] = {}
    while len(pages) < len(needed):
        for name, jobs in needed.items():
            if name not in pages and all(job.name in done for job in jobs):
                pages[name] = _page(name, [done[job.name] for job in jobs], scale, places)
        done |= dict(islice(made, 1))
    return [pages[name] for name in needed]


def _made(job: Job, showing: list[str], scale: Scale, places: Places, lpips: Lpips | None) -> Outcome:
    """A job's outcome, and what the experiments that need it show of its model."""
    outcome = carry_out(job, scale, places, lpips, command(showing[0], scale))
    for name in showing:
        paper.experiment(name).keep(job, scale, places)
    return outcome


def _page(name: str, found: list[Outcome], scale: Scale, places: Places) -> Path:
    experiment = paper.experiment(name)
    body = experiment.present(Outcomes(found), scale, places)
    if experiment.shows_learning:
        body += "\n" + learning(found, places.results, name)
    return _write(name, experiment.title, body, scale, places)


def command(name: str, scale: Scale) -> str:
    """What to type to get it again."""
    places = [] if scale.generated else ["--data", "DATA", "--lpips", "LPIPS"]
    return command_line(["vidode", "reproduce", name, "--scale", scale.name, *places])


def _write(name: str, title: str, body: str, scale: Scale, places: Places) -> Path:
    path = places.results / f"{name}.md"
    head = f"# {title}\n\n`{command(name, scale)}`\n\n{described(scale)}\n\n"
    write_text(path, head + body)
    return path


def described(scale: Scale) -> str:
    """What the scale is, in a paragraph."""
    if scale.steps is not None and scale.steps < FEW:
        return f"Scale {scale.name}: {scale.steps} updates. It shows that everything runs; its numbers say nothing."
    updates = f"{scale.steps:,} updates" if scale.steps else f"{scale.epochs} epochs"
    seeds = f"{len(scale.seeds)} seeds (mean ± half of the distance between them)" if scale.seeds[1:] else "one seed"
    return (
        f"Scale {scale.name}: every model at {scale.width:g} of the paper's width, {updates} of {scale.batch_size}"
        f" clips (where a row does not say otherwise), {seeds}. Protocol {PROTOCOL}. In tables bold is best of what was"
        " measured here, and beside it stands what the paper prints, of its own data; beyond the end the blend is the"
        " copy of the last frame, and has no row. Each row is a file in rows/ with its configuration, seed, commit and"
        f" checksums. {scale.note}".rstrip()
    )
