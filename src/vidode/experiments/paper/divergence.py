"""Whether the divergences of Latent ODE and ODE2VAE settle where nothing makes them: large latents, a constant rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidode.experiments.paper import table1
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Outcomes, table
from vidode.experiments.reproduction.scales import Scale
from vidode.models import Task
from vidode.models.latent_ode import LatentOdeConfig
from vidode.models.ode2vae import Ode2VaeConfig

TASK: Task = "extrapolation"
WHOLE: Mapping[str, Mapping[str, Any]] = {
    "latent_ode": {"latent": LatentOdeConfig().latent},
    "ode2vae": {"latent": Ode2VaeConfig().latent},
    "latent_ode_conv": {},
}
"""Models that draw a latent, as large as at the paper's scale; a map has a thousand numbers and more anyway."""
CONSTANT = {"floor": 1.0}
"""In place of a rate that falls away, under which every curve settles in the end."""
TOLD = (
    "The rows have as large a latent as at the paper's scale, and their learning rate stays what it is; in the tables"
    " it falls away, and a divergence that comes to rest as it does says nothing.\n"
)


class Divergence(Experiment):
    """At scales that count updates: the paper's scale has the models' own optimisers and whole latents anyway."""

    title = "Divergence of large latents"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Each model on the action sets, from every seed."""
        if not scale.steps:
            return []
        training = {"optimiser": {**scale.optimiser, **CONSTANT}}
        made = [
            Job(name, TASK, data, seed, f"{name}, constant rate", options, training)
            for data in scale.data.get("actions", ())
            for name, options in WHOLE.items()
            for seed in scale.seeds
        ]
        return made + rows.floors(TASK, scale, "actions")

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The scores; what the page is about stands with the curves."""
        if not scale.steps:
            return "This scale has the models' own optimisers and whole latents: see Table 1.\n"
        titles = rows.titles(self.jobs(scale))
        return f"{TOLD}\n{table(outcomes, titles, columns(scale, 'actions', TASK), VIDEO, table1.printed)}"
