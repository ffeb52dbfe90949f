"""Figure 9: the paths of the decoder's latents: Vid-RNN beside Vid-ODE, at regular times and between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from vidode.experiments.paper.figure8 import FRAMES_A_GAP, MODELS, both
from vidode.experiments.reproduction.answers import answer_at
from vidode.experiments.reproduction.experiment import Experiment, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import Outcomes, ahead, half_range, verdict
from vidode.experiments.reproduction.scales import Scale

GAPS = 4
BETWEEN = 4
"""Observed gaps that are followed, and times in each."""


class Figure9(Experiment):
    """The first two principal components, and how sharply the path turns, which the paper shows without numbers."""

    title = "Figure 9: latents over time"

    def jobs(self, scale: Scale) -> list[Job]:
        """Those of Figure 8."""
        return both(scale)

    def keep(self, job: Job, scale: Scale, places: Places) -> None:
        """See `Experiment.keep`."""
        latents(job, scale, places)

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """A panel for each model, of the first seed, and its turns, of every seed."""
        paths: dict[str, Tensor] = {}
        shares: dict[str, float] = {}
        turned: dict[str, list[Turns]] = {}
        for job in self.jobs(scale):
            states = latents(job, scale, places).flatten(1)
            turned.setdefault(job.title, []).append(Turns.of(states))
            if job.seed == scale.seeds[0]:
                paths[job.title], shares[job.title] = principal(states)
        draw(picture(places, "figure9.png"), paths)
        told = "; ".join(f"{name}: {100 * share:.0f} % of the variance" for name, share in shares.items())
        return (
            f"Two components of the latents ({told}). Large dots are observed times.\n\n![figure9](figure9.png)\n\n"
            f"What the paper claims of it:\n\n{smoother(turned)}"
        )


def latents(job: Job, scale: Scale, places: Places) -> Tensor:
    """Of a job's model (K, D, h, w), at observed times and between them."""
    slots = [FRAMES_A_GAP * step / BETWEEN for step in range(GAPS * BETWEEN + 1)]
    return answer_at(job, scale, places, slots, ["latent"], "figure9")["latent"]


@dataclass(frozen=True)
class Turns:
    """How a path turns, in degrees. observed: the sharpest turn of the path through the observed times alone.

    between: the sharpest of all. whole: all of them together. A path that is straight between observed times has all
    its turns at these, so that `between` alone favours a path with rounded corners.
    """

    observed: float
    between: float
    whole: float

    @staticmethod
    def of(states: Tensor) -> Turns:
        """Of the path through states (K, D), of which every `BETWEEN`-th is at an observed time."""
        finely = turns(states)
        return Turns(float(turns(states[::BETWEEN]).max()), float(finely.max()), float(finely.sum()))


def turns(states: Tensor) -> Tensor:
    """By how many degrees (K - 2,) the path through states (K, D) turns at each; 0 where it stands still."""
    steps = states.double().diff(dim=0)
    sizes = steps.norm(dim=1)
    along: Tensor = (steps[1:] * steps[:-1]).sum(dim=1) / (sizes[1:] * sizes[:-1])
    return along.clamp(-1, 1).acos().rad2deg().nan_to_num()


def smoother(turned: dict[str, list[Turns]]) -> str:
    """Whether Vid-ODE's sharpest turn through the observed times is less sharp than Vid-RNN's.

    turned: of each seed, by model.
    """
    if not all(turned.get(name) for name in MODELS):
        return "- not measured\n"
    discrete, continuous = ([each.observed for each in turned[name]] for name in MODELS)
    spread = half_range(discrete) + half_range(continuous)
    found = verdict([ahead(mean(discrete) - mean(continuous), spread)])
    return (
        f"- the latents of vid_ode move smoothly, those of vid_rnn turn sharply: {found} (in degrees, over all"
        f" dimensions, of one clip: the sharpest turn through the observed times is {_against(turned, 'observed')},"
        f" through those between as well {_against(turned, 'between')}, all turns together"
        f" {_against(turned, 'whole')})\n"
    )


def _against(turned: dict[str, list[Turns]], what: str) -> str:
    """Means over seeds with their spread, Vid-ODE's first."""
    values = [[getattr(each, what) for each in turned[name]] for name in reversed(MODELS)]
    return " against ".join(f"{mean(each):.1f} ± {half_range(each):.1f}" for each in values)


def principal(states: Tensor) -> tuple[Tensor, float]:
    """The first two principal components (K, 2) of states (K, D), and their share of the variance."""
    centred = (states - states.mean(dim=0)).double()
    left, size, _ = torch.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * size[:2], float(size[:2].square().sum() / size.square().sum().clamp(min=1e-30))


def draw(path: Path, paths: dict[str, Tensor]) -> None:
    """A panel for each model, its path coloured by time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(paths), 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, (name, points) in zip(figure.subplots(1, len(paths), squeeze=False)[0], paths.items(), strict=True):
        x, y = points.T.tolist()
        panel.plot(x, y, color="0.7", zorder=1)
        sizes = [70 if step % BETWEEN == 0 else 18 for step in range(len(x))]
        panel.scatter(x, y, s=sizes, c=range(len(x)), cmap="viridis", zorder=2)
        panel.set_title(name)
        panel.set_xlabel("first component")
        panel.set_ylabel("second component")
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
