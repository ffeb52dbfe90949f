"""Jobs: one model, trained on one data set for one task from one seed, then measured. Tables share them.

A job leaves a row, `rows/NAME.json`: the scores under both protocols, where they come from, what the training took and
its curves. A row that is there is read; it is made again where its configuration or its data changed, and where its
file is damaged. It names the commit of its code, which is not compared. Trainings resume.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vidode import checkpoints
from vidode.blocks.perceptual import Lpips
from vidode.clip import InvalidInput
from vidode.configuration import configure, plain
from vidode.datasets import Split, dataset_class
from vidode.datasets import config_class as data_config
from vidode.evaluation import Row, describe_data, measure, report
from vidode.experiments.reproduction.scales import DataChoice, Scale
from vidode.metrics import PROTOCOLS, Protocol, Scores
from vidode.models import OptimiserConfig, Task, VideoModel, config_class, model_class
from vidode.provenance import DataChecksum, weights_checksum, write_json
from vidode.training import Choice, RunConfig, TrainingConfig, train

log = logging.getLogger(__name__)

CURVE_POINTS = 40
"""Rows of a training's log, about, that are kept with its scores."""


@dataclass(frozen=True)
class Job:
    """What is trained and measured.

    label: in tables, where it is not the model's name. options: of the model, beside those of the scale. training:
    fields of `TrainingConfig` that differ from the harness. scheme: to measure by, where it is not the data's.
    """

    model: str
    task: Task
    data: DataChoice
    seed: int = 0
    label: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    scheme: str = ""

    @property
    def title(self) -> str:
        """In tables."""
        return self.label or self.model

    @property
    def run_name(self) -> str:
        """Of the training, which does not depend on how it is measured."""
        words = (self.title, self.task, self.data.label, f"seed{self.seed}")
        return re.sub(r"[^\w.]+", "-", "-".join(words)).strip("-")

    @property
    def name(self) -> str:
        """Of the row's file, different for different jobs."""
        return f"{self.run_name}-{self.measured_by}" if self.scheme else self.run_name

    @property
    def measured_by(self) -> str:
        """The way to hide frames."""
        return self.scheme or self.data.schemes[self.task]


@dataclass(frozen=True)
class Places:
    """Where things are. data: the folder of data sets. results: of this scale. runs: trainings, not to be kept.

    checksums: of splits that were read; each is read once.
    """

    results: Path
    runs: Path
    data: Path | None = None
    cache: Path | None = None
    checksums: dict[tuple[str, Split], str] = field(default_factory=dict, compare=False, repr=False)

    def checksum(self, data: DataChoice, split: Split) -> str:
        """SHA-256 of all clips of a split."""
        told = json.dumps([data.name, data.configuration(self.data, self.cache)], sort_keys=True), split
        if told not in self.checksums:
            log.info("reading %s/%s for its checksum", data.label, split)
            checksum, opened = DataChecksum(), data.open(split, self.data, self.cache)
            for index in range(len(opened)):
                checksum.update(opened.clip(index).normalised())
            self.checksums[told] = checksum.hexdigest()
        return self.checksums[told]


@dataclass(frozen=True)
class Outcome:
    """What a job gave. rows: by protocol. training: seconds, steps, parameters; curve: columns of its log."""

    job: Job
    rows: Mapping[Protocol, Row]
    training: Mapping[str, Any]
    curve: Mapping[str, list[float]]

    def scores(self, protocol: Protocol) -> Scores:
        """Under a protocol."""
        return self.rows[protocol].scores


def training_of(job: Job, scale: Scale, places: Places) -> TrainingConfig:
    """The harness of every model: the data's windows, the paper's augmentation, the same number of updates.

    Optimisers are each model's own (`VideoModel.optimiser`) but for what the scale says.
    """
    kind, sampling = model_class(job.model), job.data.sampling[job.task]
    options = {**kind.sized(scale.width, job.data.size), "channels": job.data.channels}
    options = _merged(options, _of_the_windows(job, sampling.frames_in))
    steps = scale.steps_on(job.data)
    return TrainingConfig(
        **{
            "model": Choice(job.model, _plain(_merged(options, job.options))),
            "data": Choice(job.data.name, _plain(job.data.configuration(places.data, places.cache))),
            "steps": steps,
            "sampling": replace(sampling, supervised=kind.supervised),
            "augmentation": scale.augmentation if job.data.augmented else None,
            "batch_size": scale.batch_size,
            "precision": scale.precision,
            "steps_per_epoch": max(1, round(steps / scale.epochs)),
            "seed": job.seed,
            "optimiser": _plain(scale.optimiser),
            "run": RunConfig(log_every=max(1, steps // CURVE_POINTS), checkpoint_every=250, keep=1),
            **job.training,
        }
    )


def _of_the_windows(job: Job, inputs: int) -> dict[str, Any]:
    """What a model has to know of its windows, if it has an option for that: how many inputs, which task, whose clock.

    ODE2VAE sees all inputs, and the sequence critics read as many frames, as with the five of the papers' defaults.
    """
    usual = config_class(job.model)()
    known = {option.name for option in fields(usual)}
    options: dict[str, Any] = {"neighbours": inputs}
    if getattr(usual, "amort_len", inputs) != inputs:
        options["amort_len"] = inputs
    if getattr(getattr(usual, "objective", None), "observed", inputs) != inputs:
        options["objective"] = {"observed": inputs}
    if "task" in known:
        options["task"] = job.task
    if "time_scale" in known and job.data.absolute is not None:
        options["time_scale"] = {"kind": "absolute", "per_unit": job.data.absolute}
    return options


def require_data(jobs: Iterable[Job], places: Places) -> None:
    """Open what the jobs learn from and are measured on, each once: what is missing is missed before hours of training.

    Raises `InvalidInput`, saying what to type.
    """
    opened: list[tuple[DataChoice, Split]] = []
    for job in jobs:
        splits: tuple[Split, ...] = ("train", "test") if model_class(job.model).trainable else ("test",)
        for needed in ((job.data, split) for split in splits):
            if needed not in opened:
                _require_folder(job.data, places)
                job.data.open(needed[1], places.data, places.cache)
                opened.append(needed)


def _require_folder(data: DataChoice, places: Places) -> None:
    if "root" not in data.configuration(Path(), None):  # generated
        return
    if places.data is not None and (places.data / data.name).is_dir():
        return
    problem = f"no root is given for {data.name}" if places.data is None else f"{places.data} has no folder {data.name}"
    raise InvalidInput(
        f"{problem}; type --data FOLDER, where FOLDER holds a folder {data.name}: {dataset_class(data.name).downloads}"
    )


def carry_out(job: Job, scale: Scale, places: Places, lpips: Lpips | None, command: str) -> Outcome:
    """The job's outcome: from its row where that is there and whole, else made."""
    path = places.results / "rows" / f"{job.name}.json"
    key = _key(job, scale, places, lpips)
    kept = _kept(job, path, key)
    if kept is not None:
        return kept
    log.info("%s", job.name)
    model, training, curve = _trained(job, scale, places)
    data = job.data.open("test", places.data, places.cache)
    together = batch_of(job, scale)
    measured = measure(model, data, job.measured_by, lpips=lpips, seed=0, clips=scale.clips, together=together)
    measured = replace(measured, model=job.title, data=job.data.label)
    facts = {**report(measured, data, command), "seed": job.seed, "hiding_seed": measured.seed}
    write_json(path, {**facts, "training": training, "curve": curve, "key": key})
    return read_outcome(job, path)


def _kept(job: Job, path: Path, key: Any) -> Outcome | None:
    """What a row's file holds; None where there is none, where it is made from something else, or cannot be read."""
    if not path.is_file():
        return None
    try:
        made_from = json.loads(path.read_text())["key"]
        return read_outcome(job, path) if _answers(made_from, key) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("row %s is damaged; making it again", path)
        return None


def _answers(made_from: dict[str, Any], key: dict[str, Any]) -> bool:
    """Whether a row made from the one is what the other asks for. Who has no weights of LPIPS takes any row's."""
    return ({**made_from, "lpips": None} if key["lpips"] is None else made_from) == key


def batch_of(job: Job, scale: Scale) -> int:
    """Clips of a batch when it is measured: batch statistics of a test are those of batches as in training."""
    return scale.batch_size if job.options.get("statistics") == "batch" else 1


def read_outcome(job: Job, path: Path) -> Outcome:
    """What a row's file holds. Raises `ValueError`, and others, for what `carry_out` did not write."""
    values = json.loads(path.read_text())
    rows = {row["protocol"]: Row.from_plain(row) for row in values["rows"]}
    outcome = Outcome(job, rows, values["training"], values["curve"])
    _require_whole(outcome)
    return outcome


def _require_whole(outcome: Outcome) -> None:
    """Raise `ValueError` where a protocol, a number or a column is missing, or a number is none."""
    told = [scores for row in outcome.rows.values() for scores in (row.scores, *row.by_distance.values())]
    numbers = [value for scores in told for value in vars(scores).values() if value is not None]
    numbers += [value for column in outcome.curve.values() for value in column]
    numbers += [outcome.training[name] for name in ("steps", "seconds", "parameters") if outcome.training]
    if not all(math.isfinite(value) for value in numbers) or set(outcome.rows) != set(PROTOCOLS):
        raise ValueError("a protocol is missing, or a number is not finite")
    lengths = {len(column) for column in outcome.curve.values()}
    if outcome.training and not ("step" in outcome.curve and len(lengths) == 1):
        raise ValueError("the learning curve is not whole")


def load_trained(job: Job, scale: Scale, places: Places) -> VideoModel:
    """The job's model, trained where it is not yet."""
    return _trained(job, scale, places)[0]


def _trained(job: Job, scale: Scale, places: Places) -> tuple[VideoModel, dict[str, Any], dict[str, list[float]]]:
    if not model_class(job.model).trainable:
        return checkpoints.load(job.model), {}, {}
    folder = _run_folder(job, scale, places)
    saved = train(training_of(job, scale, places), folder)
    card = checkpoints.describe(saved).card
    told = {name: card[name] for name in ("steps", "seconds", "parameters", "threads", "commit")}
    return checkpoints.load(saved), told, _curve(folder / "metrics.csv")


def training_digest(job: Job, scale: Scale, places: Places) -> str:
    """Different for different trainings: another configuration, or other data."""
    made_from = _learned_from(job, scale, places)
    return hashlib.blake2b(json.dumps(made_from, sort_keys=True).encode(), digest_size=4).hexdigest()


def _run_folder(job: Job, scale: Scale, places: Places) -> Path:
    """Another training has another folder: an older one neither stands in its way nor is taken for it."""
    return places.runs / scale.name / f"{job.run_name}-{training_digest(job, scale, places)}"


def _curve(path: Path) -> dict[str, list[float]]:
    """The columns of a training's log that are filled in every row. Raises `InvalidInput` where it cannot be read."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        full = [name for name in rows[0] if all(row[name] for row in rows)]
        return {name: [float(row[name]) for row in rows] for name in full}
    except (FileNotFoundError, IndexError, ValueError, TypeError, csv.Error) as error:
        raise InvalidInput(
            f"{path} is missing, empty or damaged; expected the log of a training: remove the folder {path.parent} and"
            " train again"
        ) from error


def _key(job: Job, scale: Scale, places: Places, lpips: Lpips | None) -> Any:
    """What a row is made from: plain values, as JSON has them."""
    test = describe_data(job.data.open("test", places.data, places.cache))
    key = {
        **_learned_from(job, scale, places),
        "data": {**test, "sha256": places.checksum(job.data, "test")},
        "scheme": job.measured_by,
        "clips": scale.clips,
        "lpips": None if lpips is None else weights_checksum(lpips),
    }
    together = batch_of(job, scale)
    return _plain({**key, "together": together} if together > 1 else key)


def _learned_from(job: Job, scale: Scale, places: Places) -> dict[str, Any]:
    """The training, and the checksum of its data; None of a floor."""
    if not model_class(job.model).trainable:
        return {"training": None, "learned_from": None}
    return {"training": _resolved(job, scale, places), "learned_from": places.checksum(job.data, "train")}


def _resolved(job: Job, scale: Scale, places: Places) -> dict[str, Any]:
    """What is trained, wherever things are: with all options written out, since a default may change."""
    config = training_of(job, scale, replace(places, data=None, cache=None))
    model = configure(config_class(job.model), config.model.options, f"model {job.model}")
    data = configure(data_config(job.data.name), config.data.options, f"data set {job.data.name}")
    own = plain(model_class(job.model).optimiser)
    return {
        **plain(config),
        "model": {"name": job.model, "options": plain(model)},
        "data": {"name": job.data.name, "options": plain(data)},
        "optimiser": plain(configure(OptimiserConfig, {**own, **config.optimiser}, "optimiser")),
    }


def _merged(options: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Options with more of them, which go first, also within each other."""
    inner = {
        key: _merged(options[key], value)
        for key, value in more.items()
        if isinstance(value, Mapping) and isinstance(options.get(key), Mapping)
    }
    return {**options, **more, **inner}


def _plain(values: Any) -> Any:
    """As YAML and JSON give values back: a resumed run compares what it was started with."""
    return json.loads(json.dumps(values))
