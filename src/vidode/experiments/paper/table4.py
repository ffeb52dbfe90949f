"""Table 4: irregularly sampled fields of the atmosphere."""

from __future__ import annotations

from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import FIELD, Claim, Outcomes, judged, table
from vidode.experiments.reproduction.published import CAM5, CLIMATE, Printed
from vidode.experiments.reproduction.scales import Scale
from vidode.models import Task

TASK: Task = "extrapolation"
BASELINES = ("conv_gru_dt", "conv_gru_decay", "latent_ode", "ode2vae")
MODELS = (*BASELINES, "vid_ode")


class Table4(Experiment):
    """ConvGRU-Delta-t, ConvGRU-Decay, Latent ODE and ODE2VAE beside Vid-ODE."""

    title = "Table 4: irregularly sampled fields"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Five frames in at random times, the five regular ones after them out."""
        made = rows.trained(MODELS, TASK, scale, "weather") + rows.vid_ode_as_released(TASK, scale, "weather")
        return made + rows.ours(TASK, scale, "weather") + rows.floors(TASK, scale, "weather")

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The table, and the claims."""
        sets = labels(scale, "weather")
        head = table(outcomes, rows.titles(self.jobs(scale)), columns(scale, "weather", TASK), FIELD, printed)
        claims = [Claim("vid_ode", worse, TASK, data, FIELD) for data in sets for worse in BASELINES]
        own = [claim for data in sets for claim in rows.our_claims(TASK, data, FIELD)]
        return "\n".join(
            [head, "What the paper claims of it:\n", judged(claims, outcomes), "Ours:\n", judged(own, outcomes)]
        )


def printed(title: str, task: Task, data: str) -> Printed | None:
    """The paper's scores, which are those of CAM5."""
    return CLIMATE.get(title) if data == CAM5 else None
