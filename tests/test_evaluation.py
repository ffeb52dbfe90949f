"""A row is what it says: the same whole or in pieces, from what is seen alone, with its origin beside it."""

import json
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from vidode.blocks.perceptual import Lpips
from vidode.clip import Batch, Clip, InvalidInput, Meaning
from vidode.datasets import VideoDataset, open_dataset
from vidode.evaluation import Asked, describe_model, evaluate, measure, predict, report, scheme_for, write_report
from vidode.hiding import SCHEMES, questions
from vidode.metrics import PROTOCOLS, Metrics, quantise
from vidode.models import Prediction, VideoModel, build
from vidode.models.blend import Blend, BlendConfig

FLOORS = ("copy_last", "blend", "optical_flow")


@dataclass(frozen=True)
class DriftConfig:
    lengths: tuple[int, ...] = (24, 31)
    root: str = "/somewhere/on/this/machine/drift"


class Drift(VideoDataset):
    """Random textures that drift and flicker."""

    config: DriftConfig

    def __len__(self) -> int:
        return len(self.config.lengths)

    def clip(self, index: int) -> Clip:
        generator = torch.Generator().manual_seed(index)
        coarse = torch.rand(1, 3, 7, 9, generator=generator)
        picture = torch.nn.functional.interpolate(coarse, size=(32, 80), mode="bicubic", align_corners=True)[0].clamp(
            0, 1
        )
        steps = range(self.config.lengths[index])
        frames = torch.stack([picture[:, :, i % 47 : i % 47 + 33] * (0.8 + 0.2 * (i % 7) / 6) for i in steps])
        meaning = Meaning(value_range=(0.0, 255.0), frame_gap=1 / 25)
        return Clip(frames * 255, torch.arange(len(frames)).double() / 25 + 3, meaning=meaning)


def drift(*lengths: int) -> Drift:
    return Drift(DriftConfig(lengths or (24, 31)), "test")


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_streaming_equals_whole(name, scheme):
    model, data = build(name), drift()
    whole = measure(model, data, scheme, pixels_per_call=10**9)
    pieces = measure(model, data, scheme, pixels_per_call=3 * 32 * 33)
    torch.testing.assert_close(pieces.scores.mse, whole.scores.mse, rtol=0, atol=1e-6)
    torch.testing.assert_close(pieces.scores.ssim_luma, whole.scores.ssim_luma, rtol=0, atol=1e-5)
    assert torch.equal(pieces.distance, whole.distance)


FIRST_QUERY = {"points": "queried", "origin": "first_query"}
NO_FUNCTIONS_OF_TIME = {
    "vid_ode": {"chain": FIRST_QUERY},
    "vid_rnn": {"chain": FIRST_QUERY},
    "conv_gru_dt": {"chain": {"points": "queried"}},
    "conv_gru_decay": {"chain": {"points": "queried"}},
    "ode_conv": {"origin": "first_query"},
    "ode_fc": {"origin": "first_query", "size": (16, 16)},
}


@pytest.mark.parametrize("name", NO_FUNCTIONS_OF_TIME)
def test_a_model_that_is_no_function_of_time_is_asked_everything_at_once_and_shown_all(name):
    model, data = build(name, width=2, **NO_FUNCTIONS_OF_TIME[name]), drift(24)
    clip = data.clip(0).normalised()
    (question, *_) = questions("regular-extrapolation" if model.exact else "beyond-5", len(clip), 0, 0)
    ((asked, made),) = ((asked[0], made[0]) for asked, made in predict(model.eval(), [Asked(clip, question)], 1))
    assert torch.equal(asked, question.asked)
    observed = replace(clip[question.seen], meaning=replace(clip.meaning, frame_gap=None))
    with torch.no_grad():
        expected = model(Batch.collate([observed]), clip.times[asked][None]).frames[0]
    assert torch.equal(made, expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_row_is_the_metrics_of_the_answers(protocol):
    model, data = build("blend"), drift()
    metrics = Metrics(protocol)
    for index in range(len(data)):
        clip = data.clip(index).normalised()
        (question,) = questions("random-40", len(clip), 5, index)
        query = clip.times[question.asked][None]
        metrics.update(model(Batch.collate([clip[question.seen]]), query).frames[0], clip.frames[question.asked])
    row = evaluate(model, data, "random-40", protocol, seed=5)
    expected = metrics.compute()
    assert (row.model, row.data, row.scheme, row.protocol) == ("blend", "test_evaluation/test", "random-40", protocol)
    assert (row.clips, row.skipped, row.scores.frames) == (2, 0, expected.frames)
    assert row.scores.psnr == pytest.approx(expected.psnr, rel=1e-6)
    assert row.scores.ssim == pytest.approx(expected.ssim, rel=1e-6)


def test_every_so_many_clips_are_measured_and_keep_their_own_draw():
    model, data = build("blend"), drift(24, 31, 25, 26, 27)
    whole, part = measure(model, data, "random-40", seed=5), measure(model, data, "random-40", seed=5, stride=2)
    assert part.clip.unique().tolist() == [0, 2, 4]
    assert torch.equal(part.scores.mse, whole.scores.mse[whole.clip % 2 == 0])
    assert measure(model, data, "random-40", seed=5, stride=2, clips=2).clip.unique().tolist() == [0, 2]


class Spy(Blend):
    """A blend that notes what it is given."""

    def __init__(self) -> None:
        super().__init__(BlendConfig())
        self.given: list[tuple[Batch, Tensor]] = []

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        self.given.append((observed, query))
        return super().forward(observed, query)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_model_is_given_nothing_that_it_is_asked_for_and_no_more_than_it_needs(scheme):
    spy, clip = Spy(), drift(200).clip(0).normalised()
    for question in questions(scheme, len(clip), 0, 0):
        spy.given.clear()
        asked = torch.cat([asked[0] for asked, _ in predict(spy, [Asked(clip, question)], frames_per_call=4)])
        assert torch.equal(asked, question.asked)
        hidden = set(clip.times[question.asked].tolist())
        for observed, query in spy.given:
            times = observed.times[0].tolist()
            assert not hidden & set(times)
            assert query.shape[1] <= 4
            assert observed.frame_gap is not None
            assert bool(observed.frame_gap.isnan().all())
            inside = sum(query.min() < t < query.max() for t in times)
            assert len(times) <= inside + 4


def test_questions_that_are_answered_together_have_the_scores_that_they_have_apart():
    spy, data = Spy(), drift(24, 31, 25, 26, 27)
    apart = measure(spy, data, "regular-extrapolation")
    spy.given.clear()
    both = measure(spy, data, "regular-extrapolation", together=2)
    assert [len(query) for _, query in spy.given] == [2, 2, 1]
    assert torch.equal(both.clip, apart.clip)
    assert torch.equal(both.distance, apart.distance)
    torch.testing.assert_close(both.scores.mse, apart.scores.mse, rtol=0, atol=1e-9)


def test_the_checksum_is_that_of_the_weights_before_a_test_changed_them():
    model = build("vid_ode", width=4, statistics="batch", objective={"width": 4})
    before = describe_model(model)
    found = measure(model, drift(), "regular-extrapolation")
    assert report(found, drift())["model"] == before
    assert describe_model(model) != before


def test_beyond_the_end_the_step_is_the_distance():
    row = evaluate(build("copy_last"), drift(), "beyond-5")
    assert list(row.by_distance) == [1, 2, 3, 4, 5]
    assert {scores.frames for scores in row.by_distance.values()} == {8}
    assert row.scores.mse == pytest.approx(sum(scores.mse for scores in row.by_distance.values()) / 5)
    assert row.by_distance[1].psnr > row.by_distance[5].psnr


def test_a_perfect_model_gets_the_bound():
    class Still(Drift):
        def clip(self, index: int) -> Clip:
            clip = super().clip(index)
            return replace(clip, frames=clip.frames[:1].round().expand_as(clip.frames))

    row = evaluate(build("blend"), Still(DriftConfig(), "test"), lpips=Lpips().eval())
    assert (row.scores.mse, row.scores.psnr, row.scores.lpips) == (0, 100, 0)


def test_clips_too_short_are_counted_and_all_too_short_is_refused():
    row = evaluate(build("blend"), drift(24, 5), "regular-interpolation")
    assert (row.clips, row.skipped) == (1, 1)
    with pytest.raises(InvalidInput, match="none of 1 clips is long enough for regular-interpolation"):
        evaluate(build("blend"), drift(5), "regular-interpolation")


def test_pixels_that_were_not_measured_are_not_scored():
    class Holed(Drift):
        hole = 0.0

        def clip(self, index: int) -> Clip:
            clip = super().clip(index)
            valid = torch.ones(len(clip), 1, 32, 33, dtype=torch.bool)
            valid[:, :, 3:9, 3:9] = False
            return replace(clip, frames=torch.where(valid, clip.frames, self.hole), valid=valid)

    data = Holed(DriftConfig(), "test")
    scores = evaluate(build("blend"), data).scores
    data.hole = torch.nan
    assert evaluate(build("blend"), data).scores == scores


def test_the_error_is_that_of_the_pixels_that_were_measured():
    class Masked(Drift):
        shown: Tensor | None = None

        def clip(self, index: int) -> Clip:
            clip = super().clip(index)
            return clip if self.shown is None else replace(clip, valid=self.shown.expand(len(clip), 1, -1, -1))

    whole, left = Masked(DriftConfig((24,)), "test"), Masked(DriftConfig((24,)), "test")
    left.shown = torch.arange(33).expand(1, 1, 32, 33) < 20
    clip, model = whole.clip(0).normalised(), build("copy_last")
    asked = questions("regular-extrapolation", 24, 0, 0)[0].asked
    apart = (quantise(clip.frames[4]) - quantise(clip.frames[asked])).div(255).double().square()
    for data, part in ((whole, apart), (left, apart[..., :20])):
        found = measure(model, data, "regular-extrapolation").scores.mse
        torch.testing.assert_close(found, part.mean(dim=(1, 2, 3)), rtol=1e-6, atol=1e-9)


def test_a_frame_of_which_nothing_was_measured_is_not_scored():
    class Lost(Drift):
        def clip(self, index: int) -> Clip:
            clip = super().clip(index)
            valid = torch.ones(len(clip), 1, 32, 33, dtype=torch.bool)
            valid[6] = False
            return replace(clip, valid=valid)

    found = measure(build("copy_last"), Lost(DriftConfig(), "test"), "regular-extrapolation")
    assert found.distance.tolist() == [1, 3, 4, 5] * 2
    assert found.scores.mse.isfinite().all()


def test_a_report_carries_where_it_comes_from_and_no_folder_of_this_machine(tmp_path):
    model, data = build("blend"), drift()
    measured = measure(model, data, "every-second", seed=7)
    path = tmp_path / "deep" / "row.json"
    write_report(path, measured, data, command="vidode evaluate blend")
    got = json.loads(path.read_text())
    assert got == json.loads(json.dumps(report(measured, data, command="vidode evaluate blend")))
    assert got["command"] == "vidode evaluate blend"
    assert got["seed"] == 7
    assert got["versions"]["torch"] == torch.__version__
    assert got["data"]["configuration"]["root"] == "drift"
    assert [row["protocol"] for row in got["rows"]] == list(PROTOCOLS)
    assert got["rows"][0]["by_distance"]["1"]["frames"] == got["rows"][0]["scores"]["frames"]
    assert "somewhere" not in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["row.json"]


def test_the_checksum_follows_the_data():
    model = build("copy_last")
    one, same, other = (measure(model, data).checksum for data in (drift(24), drift(24), drift(25)))
    assert one == same != other


def test_a_task_that_the_model_cannot_do_is_refused():
    class Inside(Blend):
        tasks = ("interpolation",)

    model: VideoModel = Inside(BlendConfig())
    with pytest.raises(InvalidInput, match="cannot do extrapolation"):
        evaluate(model, drift(), "beyond-5")


@pytest.mark.parametrize("limit", [{"clips": 0}, {"clips": -1}, {"stride": 0}])
def test_a_choice_of_no_clips_is_refused(limit):
    with pytest.raises(InvalidInput, match="expected at least 1 of each"):
        measure(build("blend"), open_dataset("bouncing_balls", "test"), **limit)


@pytest.mark.parametrize(("channels", "words"), [(1, "1 channel"), (6, "6 channels")])
def test_frames_of_other_channels_are_refused_before_the_model_is_asked_and_a_floor_takes_them(channels, words):
    class Other(Drift):
        def clip(self, index: int) -> Clip:
            clip = super().clip(index)
            return replace(clip, frames=clip.frames[:, :1].repeat(1, channels, 1, 1))

    class Learned(Spy):
        trainable = True

    model, data = Learned(), Other(DriftConfig(), "test")
    message = (
        f"^test_evaluation/test has frames of {words} and test_evaluation takes 3 channels; give the data set the"
        f" option channels=3 where it has one, or train a model with channels: {channels}$"
    )
    with pytest.raises(InvalidInput, match=message):
        measure(model, data)
    assert model.given == []
    assert measure(Spy(), data).scores.mse.isfinite().all()


def test_a_scheme_is_that_of_its_name_or_of_the_task():
    assert (scheme_for(None, None), scheme_for("extrapolation", None)) == ("every-second", "beyond-5")
    assert scheme_for(None, "sparse-20") == scheme_for("extrapolation", "sparse-20") == "sparse-20"
    with pytest.raises(InvalidInput, match="random-40 is for interpolation, not extrapolation; expected one of beyond"):
        scheme_for("extrapolation", "random-40")
    with pytest.raises(InvalidInput, match="expected one of every-second, random-40, regular-interpolation, irreg"):
        scheme_for("interpolation", "beyond-5")
    with pytest.raises(InvalidInput, match="no hiding scheme is called 'every-third'"):
        scheme_for("interpolation", "every-third")
