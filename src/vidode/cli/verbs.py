"""The verbs. Each reads its arguments, makes one call, and says what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from vidode.program import program, whole

if TYPE_CHECKING:
    from vidode.blocks.perceptual import Lpips
    from vidode.datasets import Split, VideoDataset
    from vidode.timing import TimeRequest

DEFAULT_MODEL = "anchored_vid_ode"

WHEN = Group("Which times", sort_key=1)
HOW = Group("How frames are made", sort_key=2)
READING = Group("Reading", sort_key=3)
WRITING = Group("Writing", sort_key=4)

Text = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
"""A number or times: text, so that it is read exactly and refused in our own words; it may begin with a minus."""

Flag = Annotated[bool, Parameter(negative="")]


def _version() -> str:
    from importlib.metadata import version

    return version("vidode")


app = program(name="vidode", help="Render video frames at any time.", version=_version, help_format="markdown")


@app.command
def generate(
    source: Annotated[Path, Parameter(name="IN")],
    target: Annotated[Path, Parameter(name="OUT")],
    /,
    *,
    fps: Annotated[Text, Parameter(group=WHEN)] = None,
    factor: Annotated[Text, Parameter(group=WHEN)] = None,
    times: Annotated[Text, Parameter(group=WHEN)] = None,
    timecodes: Annotated[Path | None, Parameter(group=WHEN)] = None,
    beyond: Annotated[Text, Parameter(group=WHEN)] = None,
    model: Annotated[str, Parameter(group=HOW)] = DEFAULT_MODEL,
    keep_observed: Annotated[bool, Parameter(group=HOW)] = True,
    cuts: Annotated[bool, Parameter(group=HOW)] = True,
    cut_threshold: Annotated[Text, Parameter(group=HOW)] = None,
    device: Annotated[str, Parameter(group=HOW)] = "auto",
    autocast: Annotated[Flag, Parameter(group=HOW)] = False,
    frame_gap: Annotated[Text, Parameter(group=READING)] = None,
    input_times: Annotated[Path | None, Parameter(group=READING)] = None,
    input_fps: Annotated[Text, Parameter(group=READING)] = None,
    overwrite: Annotated[Flag, Parameter(group=WRITING)] = False,
    codec: Annotated[str | None, Parameter(group=WRITING)] = None,
    quality: Annotated[int | None, Parameter(group=WRITING, converter=whole)] = None,
    lossless: Annotated[Flag, Parameter(group=WRITING)] = False,
    audio: Annotated[bool, Parameter(group=WRITING)] = True,
) -> None:
    """Render a video, a folder of images or an array at other times, whatever its length and size.

    Times are seconds in the input's own clock, which 'vidode inspect IN' shows. Frames that were observed at an asked
    time are kept as they are. Across a cut nothing is blended: the nearer frame is held.

    Parameters
    ----------
    source
        A video, a folder of images, .npy or .npz.
    target
        .mp4 .mov .mkv .webm .gif .npy .npz, or a folder for numbered PNG files.
    fps
        Frames a second, from the first frame on: 60, 23.976 or 30000/1001.
    factor
        Frames for every observed one, evenly between them: 2, or 5/2.
    times
        These times: 0.1,0.25 or a file with one a line, or a JSON list.
    timecodes
        The times of a file in 'timecode format v2' (milliseconds).
    beyond
        Go on for so many seconds after the last frame, at the asked rate or the input's own.
    model
        A shipped model or a floor, as 'vidode models' says, or a folder that 'vidode train' saved.
    keep_observed
        Give an observed frame itself where its time is asked for.
    cuts
        Look for cuts, across which nothing is blended.
    cut_threshold
        The share of colours, in (0, 1], that must change at a cut: less finds more (0.2 by default).
    device
        auto, cpu, cuda or cuda:1.
    autocast
        Work in half precision where that is safe: faster on a GPU, slightly less exact.
    frame_gap
        Seconds between observed frames, such as 1/25, which a single frame cannot tell.
    input_times
        A file with the times of the input's images or array.
    input_fps
        The frame rate of the input's images or array, where they have no times.
    overwrite
        Replace OUT if it exists.
    codec
        An FFmpeg encoder, such as libx264, libx265, libvpx-vp9 or ffv1.
    quality
        The encoder's constant rate factor: less is better and larger.
    lossless
        Encode without loss.
    audio
        Copy the input's sound.
    """
    from vidode.cli import show
    from vidode.cuts import CutDetector
    from vidode.generation.files import generate_file
    from vidode.generation.maker import Options
    from vidode.timing import as_fraction

    request = request_of(fps, factor, times, timecodes, beyond)
    detector = CutDetector()
    if cut_threshold is not None:
        detector = CutDetector(histogram=float(as_fraction(cut_threshold, "cut threshold")))
    options = Options(keep_observed, detector if cuts else None, autocast=autocast)
    encoding: dict[str, Any] = {"codec": codec, "quality": quality, "lossless": lossless, "audio": audio}
    done = generate_file(
        source,
        target,
        request,
        model,
        device=device,
        options=options,
        frame_gap=frame_gap,
        input_times=input_times,
        input_rate=input_fps,
        overwrite=overwrite,
        **encoding,
    )
    rate = done.frames / max(done.seconds, 1e-3)
    show.text(f"{done.path}: {done.frames} frames in {done.seconds:.1f} s, {rate:.1f} a second\n")


def request_of(
    fps: str | None, factor: str | None, times: str | None, timecodes: Path | None, beyond: str | None
) -> TimeRequest:
    """What the options ask for. Raises `InvalidInput` for none or several, and for what is no number."""
    from vidode.clip import InvalidInput
    from vidode.timing import Factor, FrameRate, as_fraction, parse_timecodes, parse_times

    options = {"--fps": fps, "--factor": factor, "--times": times, "--timecodes": timecodes}
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise InvalidInput(f"got {' and '.join(given)}; expected one of them: leave the others out")
    if not given and beyond is None:
        raise InvalidInput(f"no times are asked for; expected one of {', '.join(options)}, such as --fps 60")
    if beyond is not None and (times is not None or timecodes is not None):
        raise InvalidInput(f"got {given[0]} and --beyond; expected one of them: list the later times too")
    after = as_fraction(beyond or 0, "time beyond the end")
    if times is not None:
        return parse_times(times)
    if timecodes is not None:
        return parse_timecodes(timecodes)
    if fps is not None:
        return FrameRate(as_fraction(fps, "frame rate"), after)
    return Factor(as_fraction(factor or 1, "factor"), after)


@app.command
def demo(
    target: Annotated[Path, Parameter(name="OUT")] = Path("vidode-demo"),
    /,
    *,
    model: str = DEFAULT_MODEL,
    scene: Annotated[int, Parameter(converter=whole)] = 6,
    device: str = "auto",
    overwrite: Flag = False,
) -> None:
    """Show it all on a made-up scene that no model was trained on; nothing to download.

    Films a scene at a variable rate with missing frames, restores it to 60 frames a second, predicts what comes after,
    and compares with the exact truth: a table, videos, a side-by-side GIF and a plot of error over time.

    Parameters
    ----------
    target
        The folder to write.
    model
        A shipped model or a floor, as 'vidode models' says, or a folder that 'vidode train' saved.
    scene
        Which scene of the test split; 6 moves a lot, camera and all.
    device
        auto, cpu, cuda or cuda:1.
    overwrite
        Replace the demo that OUT holds.
    """
    from vidode.cli import show
    from vidode.demo import run_demo

    show.demonstration(run_demo(target, model, scene=scene, device=device, overwrite=overwrite))


@app.command
def train(
    config: Annotated[Path, Parameter(name="CONFIG")],
    /,
    *,
    folder: Path | None = None,
    print_config: Flag = False,
) -> None:
    """Train a model as a YAML file says, or go on where a run in the same folder was stopped.

    Parameters
    ----------
    config
        A file such as those in configs/.
    folder
        Where the run is kept; runs/NAME, from CONFIG's name, by default.
    print_config
        Print the whole configuration, defaults included, and train nothing.
    """
    from vidode.cli import show
    from vidode.provenance import command_line, commit
    from vidode.training import as_yaml, read_config
    from vidode.training import train as train_model

    wanted = read_config(config)
    if print_config:
        show.text(as_yaml(wanted.resolved()))
        return
    origin = {"command": command_line(["vidode", *sys.argv[1:]]), "commit": commit()}
    saved = train_model(wanted, folder or Path("runs") / config.stem, origin)
    show.text(f"{saved}: the model; use it with 'vidode generate --model {saved}'\n")


@app.command
def evaluate(
    model: Annotated[str, Parameter(name="MODEL")],
    /,
    *,
    data: str,
    split: Literal["train", "validation", "test"] = "test",
    root: Path | None = None,
    option: Annotated[list[str] | None, Parameter(negative="")] = None,
    task: Literal["interpolation", "extrapolation"] | None = None,
    scheme: str | None = None,
    protocol: Literal["vidode2021", "per-frame"] = "vidode2021",
    clips: Annotated[int | None, Parameter(converter=whole)] = None,
    seed: Annotated[int, Parameter(converter=whole)] = 0,
    lpips: Path | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Hide frames of a data set, ask a model for them, and score its answers.

    Parameters
    ----------
    model
        A shipped model or a floor, as 'vidode models' says, or a folder that 'vidode train' saved.
    data
        A name from 'vidode datasets', or a folder of videos.
    split
        Which part of the data.
    root
        The folder that holds the files of the data set.
    option
        An option of the data set, such as size=[64,64]; repeat it for more.
    task
        interpolation (by default) hides every second frame, extrapolation asks for five frames after the end.
    scheme
        Another way to hide frames, such as random-40; it belongs to one of the tasks.
    protocol
        vidode2021 (the paper's) or per-frame (the field's).
    clips
        Measure only the first so many.
    seed
        Of what is hidden at random.
    lpips
        Weights of LPIPS' AlexNet (.safetensors); by default the file that VIDODE_LPIPS names, if any.
    device
        auto, cpu, cuda or cuda:1.
    out
        Write the result, with where it comes from, as JSON; only an older result is replaced.
    """
    from vidode.checkpoints import load
    from vidode.cli import show
    from vidode.evaluation import measure, require_place, scheme_for, write_report
    from vidode.generation.files import on_device

    wanted = scheme_for(task, scheme)
    if out is not None:
        require_place(out)
    weights = lpips_weights(lpips)
    clips_of = open_data(data, split, root, option or [])
    network = on_device(load(model), device)
    measured = measure(network, clips_of, wanted, lpips=weights, seed=seed, clips=clips)
    show.row(measured.row(protocol))
    if out is not None:
        write_report(out, measured, clips_of)


def lpips_weights(path: Path | None) -> Lpips | None:
    """The network with the weights of a file, or those found without one; None where there are none to be found."""
    from vidode.blocks.perceptual import MissingWeights, load_lpips

    try:
        return load_lpips(path)
    except MissingWeights:
        if path is not None:
            raise
        return None


def open_data(data: str, split: Split, root: Path | None, options: list[str]) -> VideoDataset:
    """A data set by name, or a folder of videos, with options such as size=[64,64] in YAML."""
    from vidode.datasets import names, open_dataset

    if data not in names() and Path(data).is_dir():
        data, root = "video_folder", Path(data)
    return open_dataset(data, split, **{**({} if root is None else {"root": str(root)}), **values_of(options)})


def values_of(options: list[str]) -> dict[str, Any]:
    """Options such as size=[64,64], whose values are YAML. Raises `InvalidInput` for another form."""
    from vidode.clip import InvalidInput
    from vidode.configuration import from_yaml

    values: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not (name and equals):
            raise InvalidInput(f"option is {option!r}; expected NAME=VALUE, such as size=[64,64]")
        values[name] = from_yaml(value, f"the value of option {option!r}")
    return values


@app.command
def reproduce(
    names: Annotated[list[str], Parameter(name="NAME", negative="")],
    /,
    *,
    scale: str = "small",
    data: Path | None = None,
    out: Path = Path("results"),
    runs: Path = Path("runs"),
    cache: Path | None = None,
    lpips: Path | None = None,
) -> None:
    """Train, measure and draw tables and figures of the paper, beside the paper's own numbers.

    What was cut off goes on where it stopped; what is there is not made again.

    Parameters
    ----------
    names
        table1 to table5, figure1 to figure9 as far as the paper has them, differences, divergence,
        longer, or all.
    scale
        smoke (seconds, generated data), small (a machine without an accelerator) or paper (the paper's data and sizes).
    data
        The folder of data sets, each in a folder with its name.
    out
        Where results go, in a folder named after the scale.
    runs
        Where trainings are kept.
    cache
        A folder for decoded frames, which memory otherwise has to hold.
    lpips
        Weights of LPIPS' AlexNet (.safetensors); by default the file that VIDODE_LPIPS names, if any.
    """
    from vidode.cli import show
    from vidode.experiments.reproduction.jobs import Places
    from vidode.experiments.reproduction.run import reproduce as carry_out
    from vidode.experiments.reproduction.scales import scale_named

    wanted = scale_named(scale)
    places = Places(out / wanted.name, runs, data, cache)
    for page in carry_out(names, wanted, places, lpips_weights(lpips)):
        show.text(f"{page}\n")


@app.command
def inspect(
    subject: Annotated[str, Parameter(name="MODEL|FILE")],
    /,
    *,
    input_times: Path | None = None,
) -> None:
    """Say what a model is, or what a file really contains: times, gaps, repeated frames and cuts.

    Parameters
    ----------
    subject
        A name from 'vidode models', a folder that 'vidode train' saved, or a video, folder of images or array.
    input_times
        A file with the times of the images or the array.
    """
    from vidode import checkpoints
    from vidode.cli import show
    from vidode.models import names
    from vidode.sources.inspection import inspect_file

    path = Path(subject)
    if (path / checkpoints.CONFIG).is_file() or (not path.exists() and subject in {*checkpoints.shipped(), *names()}):
        show.model(subject)
    else:
        show.file(inspect_file(path, times=input_times))


@app.command
def models(*, markdown: Flag = False) -> None:
    """List the models, what each can do, and which have weights here.

    Parameters
    ----------
    markdown
        As a Markdown table.
    """
    from vidode.cli import show

    show.models(markdown)


datasets_app = App(name="datasets", help="List the data sets and where each comes from, or prepare one.")
app.command(datasets_app)


@datasets_app.default
def datasets() -> None:
    """List the data sets and where each comes from."""
    from vidode.cli import show

    show.datasets()


@datasets_app.command
def prepare(
    name: Annotated[str, Parameter(name="NAME")],
    source: Annotated[Path, Parameter(name="SRC")],
    target: Annotated[Path, Parameter(name="DST")],
    /,
    *,
    option: Annotated[list[str] | None, Parameter(negative="")] = None,
    partial: Flag = False,
) -> None:
    """Convert a data set once into memory-mapped arrays; DST is then its root.

    What was cut off goes on where it stopped. An incomplete source is refused, saying what is missing.

    Parameters
    ----------
    name
        A name from 'vidode datasets'.
    source
        The folder with the files as their owners distribute them.
    target
        The folder to write.
    option
        An option of the data set, such as size=128; repeat it for more.
    partial
        Take what is there, where the source is known to be incomplete.
    """
    from rich.progress import Progress

    from vidode.cli import show
    from vidode.preparation import prepare as convert

    with Progress(disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(name)

        def report(clip: str, done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, description=clip)

        manifest = convert(name, source, target, values_of(option or []), partial=partial, report=report)
    show.prepared(manifest)
