"""Every kind of output appears whole or not at all."""

import resource
from contextlib import contextmanager
from fractions import Fraction

import pytest
import torch

from vidode.clip import InvalidInput
from vidode.sources import Frame, open_sink, open_source

NAMES = ["out.mp4", "out.mkv", "out.webm", "out.gif", "out.npz", "out.npy", "out"]


def frames(count=40, size=64):
    return [Frame(torch.rand(3, size, size), Fraction(n, 25)) for n in range(count)]


def write(path, pictures, error=None, **options):
    with open_sink(path, **options) as sink:
        for frame in pictures:
            sink.write(frame)
        if error is not None:
            raise error


@contextmanager
def files_of_at_most(size):
    """The disk says that a file cannot grow, as a full one does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_there_and_nothing_beside_it(tmp_path, name):
    write(tmp_path / name, frames(3))
    assert {file.name for file in tmp_path.iterdir()} == {name} | ({"out.times.txt"} if name == "out.npy" else set())
    assert len(list(open_source(tmp_path / name))) == 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [RuntimeError("half way"), KeyboardInterrupt()])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_nothing_is_there_before_the_end_or_after_an_error(tmp_path, name, error, count):
    with pytest.raises(type(error)):
        write(tmp_path / name, frames(count, 16), error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, name):
    with files_of_at_most(9000), pytest.raises(InvalidInput, match=r"cannot write .*out.*: File too large") as told:
        write(tmp_path / name, frames())
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_frames_are_no_file(tmp_path, name):
    with pytest.raises(InvalidInput, match="no frame was written"):
        write(tmp_path / name, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_exists_is_kept_unless_it_may_be_overwritten(tmp_path, name):
    write(tmp_path / name, frames(2, 16))
    with pytest.raises(InvalidInput, match=r"exists; give another name, or overwrite \(--overwrite\)"):
        write(tmp_path / name, frames(3, 16))
    with pytest.raises(RuntimeError):
        write(tmp_path / name, frames(3, 16), RuntimeError("half way"), overwrite=True)
    assert len(list(open_source(tmp_path / name))) == 2
    write(tmp_path / name, frames(3, 16), overwrite=True)
    assert len(list(open_source(tmp_path / name))) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_folder_is_named(tmp_path, name):
    with pytest.raises(InvalidInput, match=r"output folder '.*nowhere' does not exist"):
        open_sink(tmp_path / "nowhere" / name)


@pytest.mark.parametrize("name", [name for name in NAMES if "." in name])
def test_a_file_never_replaces_a_folder(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").write_text("years")
    with pytest.raises(InvalidInput, match="is a folder; expected the name of a file"):
        open_sink(tmp_path / name, overwrite=True)
    assert (tmp_path / name / "thesis.tex").read_text() == "years"


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InvalidInput, match=r"suffix '.xyz'; expected one of .mp4 .mov"):
        open_sink(tmp_path / "out.xyz")


def test_a_file_can_be_written_over_its_own_source(tmp_path):
    write(tmp_path / "film.mp4", frames(3, 16))
    with open_source(tmp_path / "film.mp4") as source:
        write(tmp_path / "film.mp4", list(source)[:2], like=source, overwrite=True)
    assert len(list(open_source(tmp_path / "film.mp4"))) == 2


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out"])
def test_channels_that_are_no_colours_are_refused(tmp_path, name):
    with pytest.raises(InvalidInput, match=r"2 channels; expected 1 or 3.*write \.npz"):
        write(tmp_path / name, [Frame(torch.rand(2, 8, 8), Fraction(0))])
    assert list(tmp_path.iterdir()) == []
