"""Figure 5: what the models make of the same clip, in both tasks."""

from __future__ import annotations

from vidode.experiments.paper import table1, table2, table3
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.answers import answer, shown_clip, strips
from vidode.experiments.reproduction.experiment import Experiment, one_of, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import Outcomes
from vidode.experiments.reproduction.scales import Scale
from vidode.models import TASKS, Task

MODELS: dict[Task, tuple[str, ...]] = {
    "interpolation": (*table1.BASELINES, *table3.MODELS),
    "extrapolation": (*table1.BASELINES, *table2.MODELS),
}


class Figure5(Experiment):
    """Strips, the truth above."""

    title = "Figure 5: the same clip by every model"

    def jobs(self, scale: Scale) -> list[Job]:
        """Of Tables 1 to 3, ours and the floors, from the first seed."""
        data = one_of(scale, "actions")
        if data is None:
            return []
        made = []
        for task in TASKS:
            made += [Job(name, task, data, scale.seeds[0]) for name in MODELS[task]]
            others = rows.vid_ode_as_released(task, scale, "actions") + rows.ours(task, scale, "actions")
            made += rows.first(others + rows.floors(task, scale, "actions"), scale, data)
        return made

    def keep(self, job: Job, scale: Scale, places: Places) -> None:
        """See `Experiment.keep`."""
        if job.seed == scale.seeds[0]:
            answer(job, scale, places)

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """A picture for each task."""
        parts = []
        for task in TASKS:
            jobs = [job for job in self.jobs(scale) if job.task == task]
            if jobs:
                clip, question = shown_clip(jobs[0], places)
                shown = {"truth": clip.frames[question.asked]}
                shown |= {job.title: answer(job, scale, places) for job in jobs}
                parts += [f"## {task.capitalize()}\n", strips(picture(places, f"figure5-{task}.png"), shown)]
        return "\n".join(parts)
