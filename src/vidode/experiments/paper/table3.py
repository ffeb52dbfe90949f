"""Table 3: interpolation beside the models made for it."""

from __future__ import annotations

from vidode.experiments.paper.table1 import printed
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Claim, Outcomes, both_protocols, judged
from vidode.experiments.reproduction.scales import Scale
from vidode.models import Task

TASK: Task = "interpolation"
MODELS = ("deep_voxel_flow", "unsupervised_interpolation", "vid_ode")


SUPERVISED = "deep_voxel_flow is supervised, as in the paper: it is trained on the frames between.\n"


class Table3(Experiment):
    """Deep Voxel Flow, which is supervised, and unsupervised video interpolation beside Vid-ODE."""

    title = "Table 3: interpolation"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Frames 0, 2, 4, 6, 8 in, 1, 3, 5, 7 out, on the action and animation sets."""
        made = rows.trained(MODELS, TASK, scale, "actions") + rows.vid_ode_as_released(TASK, scale, "actions")
        return made + rows.ours(TASK, scale, "actions") + rows.floors(TASK, scale, "actions")

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The table, and the claims."""
        sets = labels(scale, "actions")
        head = both_protocols(outcomes, rows.titles(self.jobs(scale)), columns(scale, "actions", TASK), printed)
        others = ("unsupervised_interpolation",)
        claims = [claim for data in sets for claim in rows.claims_of_vid_ode(others, TASK, data, VIDEO)]
        claims += [Claim("deep_voxel_flow", title, TASK, data, VIDEO) for data in sets for title in rows.VID_ODES]
        own = [claim for data in sets for claim in rows.our_claims(TASK, data, VIDEO)]
        return "\n".join(
            [
                head,
                SUPERVISED,
                "What the paper claims of it:\n",
                judged(claims, outcomes),
                "Ours:\n",
                judged(own, outcomes),
            ]
        )
