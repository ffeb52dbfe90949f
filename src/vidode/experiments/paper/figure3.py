"""Figure 3: what a frame of Vid-ODE is made of: the warped frame, the difference and the mask."""

from __future__ import annotations

from vidode.experiments.reproduction.answers import Answer, answer_at, shown_clip, strips
from vidode.experiments.reproduction.experiment import Experiment, one_of, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import Outcomes
from vidode.experiments.reproduction.scales import Scale

STEPS = (5, 6, 7, 8, 9)
"""Frames of the clip that are asked for: the five after the observed ones."""


class Figure3(Experiment):
    """The parts of Eq. 2."""

    title = "Figure 3: warped frame, difference and mask"

    def jobs(self, scale: Scale) -> list[Job]:
        """Vid-ODE in extrapolation, as in Table 1."""
        data = one_of(scale, "actions")
        return [] if data is None else [Job("vid_ode", "extrapolation", data, scale.seeds[0])]

    def keep(self, job: Job, scale: Scale, places: Places) -> None:
        """See `Experiment.keep`."""
        parts(job, scale, places)

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """One strip for each part. The difference is shown around grey."""
        (job,) = self.jobs(scale)
        clip, _ = shown_clip(job, places)
        made = parts(job, scale, places)
        rows = {
            "truth": clip.frames[list(STEPS)],
            "answer": made["frames"].clamp(0, 1),
            "warped frame": made["warped"][:, 0].clamp(0, 1),
            "difference": (0.5 + made["difference"] / 2).clamp(0, 1),
            "mask": made["mask"],
        }
        return strips(picture(places, "figure3.png"), rows)


def parts(job: Job, scale: Scale, places: Places) -> Answer:
    """What a frame is made of, at each step."""
    return answer_at(job, scale, places, STEPS, ["frames", "warped", "difference", "mask"], "figure3")
