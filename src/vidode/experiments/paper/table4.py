"""Table 4: irregularly sampled fields of the atmosphere."""

from __future__ import annotations

from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import FIELD, Outcomes, judged, table
from vidode.experiments.reproduction.published import CAM5, CLIMATE, Printed
from vidode.experiments.reproduction.scales import HOUR, DataChoice, Scale
from vidode.hiding import sparse
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
        claims = [claim for data in sets for claim in rows.claims_of_vid_ode(BASELINES, TASK, data, FIELD)]
        own = [claim for data in sets for claim in rows.our_claims(TASK, data, FIELD)]
        told = "".join(f"- {data.label}: {observed(data)}\n" for data in scale.data.get("weather", ()))
        return "\n".join(
            [head, told, "What the paper claims of it:\n", judged(claims, outcomes), "Ours:\n", judged(own, outcomes)]
        )


def observed(data: DataChoice) -> str:
    """What is seen of a data set before the five frames that are asked for, and how it is trained and divided."""
    scheme, sampling = data.schemes[TASK], data.sampling[TASK]
    slots, slot = sparse(int(scheme.removeprefix("sparse-"))).window - sampling.frames_out, (data.absolute or 0) / 10
    # The first slot and the last are seen, so that all others lie in one gap at most.
    longest = min(slots - sampling.frames_in + 1, sampling.max_gap) * slot
    trained = f"every rate from {min(data.rates)} % on" if data.rates else "that rate alone"
    divided = ", ".join(f"{name} {value}" for name, value in data.options.items())
    return f"{scheme}, five of {slots} slots of {span(slot)}, gaps of up to {span(longest)}; trained at {trained}" + (
        f"; {divided}" if divided else ""
    )


def span(seconds: float) -> str:
    """In hours, or in seconds where it is short."""
    return f"{seconds:g} s" if seconds < HOUR else f"{seconds / HOUR:g} h"


def printed(title: str, task: Task, data: str) -> Printed | None:
    """The paper's scores, which are those of CAM5."""
    return CLIMATE.get(rows.in_the_paper(title)) if data == CAM5 else None
