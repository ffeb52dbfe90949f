"""Tables mark the best, say what is missing, and plots hold a curve for every model."""

from vidode.evaluation import Row
from vidode.metrics import Scores
from vidode.tables import by_distance, markdown, plot_by_distance


def row(model, psnr, lpips=0.1, data="a", steps=(1, 2)):
    scores = lambda psnr: Scores(frames=4, mse=0.001, psnr=psnr, ssim=0.9, lpips=lpips)  # noqa: E731
    return Row(model, data, "beyond-5", "per-frame", 2, 0, scores(psnr), {step: scores(psnr - step) for step in steps})


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_the_best_is_bold_which_for_lpips_is_the_least_and_equals_as_written_share_it():
    table = cells(markdown([row("x", 30.001, 0.2), row("y", 29.0, 0.1), row("z", 30.004, 0.3)]))
    assert table[0] == ["model", "a PSNR", "a SSIM", "a LPIPS"]
    assert [line[1] for line in table[2:]] == ["**30.00**", "29.00", "**30.00**"]
    assert [line[3] for line in table[2:]] == ["0.2000", "**0.1000**", "0.3000"]


def test_missing_weights_and_missing_rows_are_said():
    table = cells(markdown([row("x", 30, None), row("y", 29, None, data="b")]))
    assert table[2] == ["x", "**30.00**", "**0.9000**", "n/a (no LPIPS weights)"] + ["not measured"] * 3
    assert table[3][1:4] == ["not measured"] * 3


def test_by_distance_has_a_column_for_each_step_and_the_best_of_each_data_set():
    rows = [row("x", 30), row("y", 31, steps=(1,)), row("x", 20, data="b")]
    table = cells(by_distance(rows))
    assert table[0] == ["data", "model", "PSNR at 1", "PSNR at 2"]
    assert table[2:] == [
        ["a", "x", "29.00", "**28.00**"],
        ["a", "y", "**30.00**", "not measured"],
        ["b", "x", "**19.00**", "**18.00**"],
    ]


def test_the_plot_is_a_picture(tmp_path):
    path = tmp_path / "new" / "plot.png"
    plot_by_distance([row("x", 30), row("y", 31), row("x", 20, data="b")], path, "steps")
    assert path.read_bytes().startswith(b"\x89PNG")
