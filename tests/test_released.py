"""Published weights give what the published code gave, and files that hold none are refused in one line."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import parameter_count
from vidode.models.vid_ode import EncoderConfig, VidOde, VidOdeConfig, WarpChainConfig
from vidode.ode import Solver
from vidode.released import load_released
from vidode.timing import TimeScale

FIXTURES = sorted((Path(__file__).parent / "data").glob("reference_*.safetensors"))


def fixture(path):
    """What the published code was given and gave, its weights, and the options of its run."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        options = file.metadata()
    state = {name.removeprefix("state."): value for name, value in tensors.items() if name.startswith("state.")}
    return tensors, state, options


def observed(tensors):
    return Batch.collate([Clip(frames, tensors["times"]) for frames in tensors["observed"]])


def released(path, **more):
    tensors, state, options = fixture(path)
    model = load_released(
        state,
        task=options["task"],
        solver=options["decoder_solver"],
        rtol=float(options["rtol"]),
        atol=float(options["atol"]),
        width=int(options["init_dim"]),
        **more,
    )
    return tensors, model


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
@torch.no_grad()
def test_the_published_answers_are_met(path):
    tensors, model = released(path)
    assert not model.function_of_time
    prediction = model(observed(tensors), tensors["query"].double().expand(2, -1))
    got = {
        "pred": prediction.frames,
        "flow": prediction.flow[:, :, 0],
        "difference": prediction.difference,
        "mask": prediction.mask,
        "warped": prediction.warped[:, :, 0],
    }
    for name, values in got.items():
        torch.testing.assert_close(values, tensors[name], rtol=0, atol=1e-4)


def test_there_are_three_fixtures():
    assert len(FIXTURES) == 3


@torch.no_grad()
def test_answers_come_in_the_order_of_the_queries():
    tensors, model = released(FIXTURES[0])
    query = tensors["query"].double().expand(2, -1)
    order = torch.tensor([3, 0, 4, 1, 2])
    straight = model(observed(tensors), query)
    mixed = model(observed(tensors), query[:, order])
    for name in ("frames", "flow", "latent"):
        torch.testing.assert_close(getattr(mixed, name), getattr(straight, name)[:, order])


@torch.no_grad()
def test_the_grid_is_solved_on_but_not_decoded():
    """The published interpolation test solves on every slot and decodes every second."""
    path = next(path for path in FIXTURES if "interpolation" in path.name)
    tensors, model = released(path)
    _, on_grid = released(path, grid=tensors["query"].tolist())
    odd = tensors["query"].double()[1::2].expand(2, -1)
    whole = model(observed(tensors), tensors["query"].double().expand(2, -1)).latent[:, 1::2]
    torch.testing.assert_close(on_grid(observed(tensors), odd).latent, whole, rtol=0, atol=1e-5)
    shifted = model(observed(tensors), odd).latent  # starts at the first odd slot, as if it were the first of all
    assert (shifted - whole).abs().max() > 1e-3


@torch.no_grad()
def test_a_fixed_solver_steps_from_query_to_query():
    path = next(path for path in FIXTURES if "euler" in path.name)
    tensors, model = released(path)
    query = torch.tensor([[0.5, 0.9, 1.0]]).double().expand(2, -1)
    h = model(observed(tensors), query).latent
    for i, gap in enumerate((0.4, 0.1)):
        torch.testing.assert_close(h[:, i + 1], h[:, i] + gap * model.network.field(h[:, i]))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
@torch.no_grad()
def test_vid_ode_configured_as_released_is_the_same_network(path):
    tensors, model = released(path)
    config = VidOdeConfig(
        width=4,
        time_scale=TimeScale("absolute", 1.0),
        solver=Solver("euler", 0.1) if "euler" in path.name else model.config.solver,
        encoder=EncoderConfig(unused_half=True),
        chain=WarpChainConfig(points="queried", origin="first_query"),
    )
    network = VidOde(config).eval()
    network.load_state_dict(model.network.state_dict())
    query = tensors["query"].double().expand(2, -1)
    got, expected = network(observed(tensors), query), model(observed(tensors), query)
    torch.testing.assert_close(got.frames, expected.frames, rtol=0, atol=1e-4)
    torch.testing.assert_close(got.latent, expected.latent, rtol=0, atol=1e-4)


def test_the_published_size():
    config = VidOdeConfig(encoder=EncoderConfig(unused_half=True))
    assert parameter_count(VidOde(config)) == 1_915_718


def test_files_of_either_kind_are_read(tmp_path):
    _, state, _ = fixture(FIXTURES[0])
    torch.save(state, tmp_path / "weights.pth")
    torch.save({"epoch": 3, "model": state}, tmp_path / "training.pth")
    save_file(state, tmp_path / "weights.safetensors")
    expected = load_released(state, task="extrapolation").network.state_dict()
    for name in ("weights.pth", "training.pth", "weights.safetensors"):
        got = load_released(tmp_path / name, task="extrapolation").network.state_dict()
        assert all(torch.equal(got[key], expected[key]) for key in expected)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"encoder.model.0.weight": Bomb()}, "bomb.pth")
    with pytest.raises(InvalidInput, match="cannot be read as weights"):
        load_released("bomb.pth", task="extrapolation")
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("decoder.model.5.bias"), "weight 'decoder.model.5.bias' is missing"),
        (lambda state: state.pop("encoder.model.0.weight"), "'encoder.model.0.weight' is missing"),
        (lambda state: state.update(extra=torch.zeros(1)), "unknown weight 'extra'"),
        (
            lambda state: state.update({"decoder.model.11.bias": torch.zeros(1)}),
            "unknown weight 'decoder.model.11.bias'",
        ),
        (lambda state: state.update({"decoder.model.5.bias": torch.zeros(9)}), r"has shape \(9,\); expected \(8,\)"),
    ],
)
def test_weights_that_do_not_fit_are_named_in_one_line(change, message):
    _, state, _ = fixture(FIXTURES[0])
    change(state)
    with pytest.raises(InvalidInput, match=message) as refused:
        load_released(state, task="extrapolation")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "prediction"}, "'interpolation' or 'extrapolation'"),
        ({"task": "extrapolation", "solver": "rk4"}, "'dopri5', 'euler' or 'midpoint'"),
        ({"task": "extrapolation", "width": 32}, "the weights have width 4"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    _, state, _ = fixture(FIXTURES[0])
    with pytest.raises(InvalidInput, match=message):
        load_released(state, **options)


@pytest.mark.parametrize("name", ["missing.pth", "text.pth", "text.safetensors", "list.pth"])
def test_files_that_hold_no_weights_are_refused_in_one_line(tmp_path, name):
    if name.startswith("text"):
        (tmp_path / name).write_text("not weights")
    if name.startswith("list"):
        torch.save([1, 2], tmp_path / name)
    with pytest.raises(InvalidInput, match=name) as refused:
        load_released(tmp_path / name, task="extrapolation")
    assert "\n" not in str(refused.value)
