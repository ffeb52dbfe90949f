import hashlib
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import safetensors.torch
import torch

import tiny
from vidode import checkpoints
from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import VideoModel, build


@pytest.fixture(autouse=True)
def _catalog():
    with tiny.joined():
        yield


@pytest.fixture
def model() -> VideoModel:
    torch.manual_seed(0)
    net = build("tiny_net", channels=3, width=5)
    net.norm.running_mean.fill_(0.25)
    net.norm.num_batches_tracked.fill_(7)
    return net


@pytest.fixture
def folder(model, tmp_path) -> Path:
    return checkpoints.save(model, tmp_path / "net", "tiny_net", card={"steps": 3})


def frames(net: VideoModel) -> torch.Tensor:
    clip = Clip(torch.linspace(0, 1, 2 * 3 * 6 * 6).reshape(2, 3, 6, 6), [0.0, 0.1])
    with torch.no_grad():
        return net.eval()(Batch.collate([clip]), torch.tensor([[0.15, 0.2]], dtype=torch.float64)).frames


def rewrite(folder: Path, config=None, tensors: bytes | None = None) -> None:
    """Change a checkpoint so that its checksum still holds."""
    values = json.loads((folder / "config.json").read_text())
    if tensors is not None:
        (folder / "model.safetensors").write_bytes(tensors)
        values["tensors"]["sha256"] = hashlib.sha256(tensors).hexdigest()
    values.update(config or {})
    (folder / "config.json").write_text(json.dumps(values))


def test_a_saved_model_answers_bit_for_bit_as_before(model, folder):
    loaded = checkpoints.load(folder)
    assert not loaded.training
    assert loaded.config == model.config
    assert torch.equal(frames(loaded), frames(model))
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_half_storage_halves_the_file_and_rounds_to_float16_only(model, folder, tmp_path):
    half = checkpoints.save(model, tmp_path / "half", "tiny_net", half=True)
    state = checkpoints.load(half).state_dict()
    for key, value in model.state_dict().items():
        assert state[key].dtype == value.dtype
        assert torch.equal(state[key], value.half().float() if value.is_floating_point() else value)
    tensors = [safetensors.torch.load_file(at / "model.safetensors") for at in (half, folder)]
    size = [sum(t.nbytes for t in stored.values() if t.is_floating_point()) for stored in tensors]
    assert 2 * size[0] == size[1]


def test_the_description_says_what_was_saved(folder):
    found = checkpoints.describe(folder)
    assert (found.model, found.card, found.stored) == ("tiny_net", {"steps": 3}, "float32")
    assert found.configuration == {"channels": 3, "width": 5, "critic": True, "noisy": True}
    assert found.sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_shipped_weights_are_found_by_their_name_and_a_near_name_is_suggested(folder, monkeypatch):
    monkeypatch.setattr(checkpoints, "_weights", lambda: folder.parent)
    assert checkpoints.shipped() == ["net"]
    assert torch.equal(frames(checkpoints.load("net")), frames(checkpoints.load(folder)))
    with pytest.raises(InvalidInput, match=r"^prednet has no weights here; train it first \('vidode train'\)"):
        checkpoints.load("prednet")
    with pytest.raises(InvalidInput, match="no checkpoint called 'nett', and no such folder; did you mean 'net'"):
        checkpoints.load("nett")


def test_a_floor_is_loaded_by_its_name_and_has_no_checkpoint():
    assert type(checkpoints.load("blend")).__name__ == "Blend"
    with pytest.raises(InvalidInput, match="blend is a floor"):
        checkpoints.describe("blend")
    with pytest.raises(InvalidInput, match="did you mean 'copy_last'"):
        checkpoints.load("copylast")


def test_saving_replaces_a_checkpoint_and_leaves_nothing_beside_it(model, folder):
    with torch.no_grad():
        model.leave.bias += 1
    checkpoints.save(model, folder, "tiny_net")
    assert torch.equal(checkpoints.load(folder).leave.bias, model.leave.bias)
    assert [path.name for path in folder.parent.iterdir()] == ["net"]


def test_a_save_that_fails_leaves_the_older_checkpoint_whole(model, folder, monkeypatch):
    before = frames(checkpoints.load(folder))

    def full(self: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with torch.no_grad():
        model.leave.bias += 1
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(model, folder, "tiny_net")
    assert torch.equal(frames(checkpoints.load(folder)), before)
    assert [path.name for path in folder.parent.iterdir()] == ["net"]


def test_another_folder_is_never_replaced(model, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("cat")
    with pytest.raises(InvalidInput, match="exists and is no checkpoint"):
        checkpoints.save(model, tmp_path / "photos", "tiny_net")
    with pytest.raises(InvalidInput, match=r"missing does not exist; create it first"):
        checkpoints.save(model, tmp_path / "missing" / "net", "tiny_net")


@pytest.mark.parametrize(("value", "half"), [(float("nan"), False), (1e6, True)])
def test_values_that_cannot_be_stored_are_refused(model, tmp_path, value, half):
    with torch.no_grad():
        model.leave.bias.fill_(value)
    with pytest.raises(InvalidInput, match=r"leave.bias is not finite"):
        checkpoints.save(model, tmp_path / "net", "tiny_net", half=half)
    assert not list(tmp_path.iterdir())


def test_a_model_is_saved_under_its_own_name_only(model, tmp_path):
    with pytest.raises(InvalidInput, match="no model is called 'tiny_nett'; did you mean 'tiny_net'"):
        checkpoints.save(model, tmp_path / "net", "tiny_nett")


@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_a_flipped_byte_is_noticed(folder, place):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="is damaged: its checksum"):
        checkpoints.load(folder)


@dataclass
class Trap:
    path: str

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("signed", [True, False])
def test_a_pickle_in_place_of_the_tensors_is_not_executed(folder, tmp_path, signed):
    trap = tmp_path / "executed"
    data = pickle.dumps(Trap(str(trap)))
    if signed:
        rewrite(folder, tensors=data)
    else:
        (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(InvalidInput, match="not in the safetensors format" if signed else "is damaged"):
        checkpoints.load(folder)
    assert not trap.exists()


def changed_tensors(folder: Path, change) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    rewrite(folder, tensors=safetensors.torch.save(tensors))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.pop("enter.bias"), r"lacks tensor 'enter.bias' \(1 in all\)"),
        (lambda t: t.update(more=torch.zeros(2)), r"has unknown tensor 'more'"),
        (lambda t: t.update({"enter.bias": torch.zeros(6)}), r"'enter.bias' .* has shape \(6,\); .* expects \(5,\)"),
    ],
)
def test_tensors_that_are_not_the_models_are_refused(folder, change, text):
    changed_tensors(folder, change)
    with pytest.raises(InvalidInput, match=text) as caught:
        checkpoints.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"format": 2}, "has format 2, newer than 1; upgrade vidode"),
        ({"format": "one"}, "no entry 'format' of type int"),
        ({"model": "tiny_nte"}, "no model is called 'tiny_nte'; did you mean 'tiny_net'"),
        ({"configuration": {"widht": 5}}, "has no option 'widht'; did you mean 'width'"),
        ({"configuration": None}, "no entry 'configuration' of type dict"),
        ({"tensors": {}}, "no entry 'sha256' of type str"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(folder, config, text):
    rewrite(folder, config)
    with pytest.raises(InvalidInput, match=text):
        checkpoints.load(folder)


def test_missing_and_broken_files_are_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(InvalidInput, match=r"has no model.safetensors"):
        checkpoints.load(folder)
    (folder / "config.json").write_bytes(b"\xff\x00")
    with pytest.raises(InvalidInput, match="is not JSON"):
        checkpoints.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InvalidInput, match=r"has no config.json"):
        checkpoints.load(folder)
