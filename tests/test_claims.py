"""What each page judges is what the paper claims, and what we claim; and what it prints is what the paper prints."""

import re

import pytest

from vidode.experiments import paper
from vidode.experiments.paper import table2
from vidode.experiments.reproduction.jobs import Places
from vidode.experiments.reproduction.outcomes import MSE, PSNR, Outcomes
from vidode.experiments.reproduction.published import CAM5, CLIMATE, EXTRAPOLATION, INTERPOLATION, LADDER, Printed
from vidode.experiments.reproduction.scales import SMOKE

BOTH = ("vid_ode", "vid_ode (released)")
OURS = ("anchored_vid_ode (supervised)", "anchored_vid_ode (five inputs)")
LATENT = ("latent_ode", "ode2vae")
STACKED = ("ode_fc", "ode_conv")
MADE_FOR_IT = ("conv_gru", "prednet", "deep_voxel_flow", "retrospective_cycle_gan")


def above(better, worse):
    return {(one, other) for one in better for other in worse}


PAGES = {
    "table1": above(BOTH, LATENT + STACKED) | {("ode_conv", "ode_fc")} | above(OURS, BOTH[:1]),
    "table2": above(BOTH, MADE_FOR_IT) | above(OURS, BOTH[:1]),
    "table3": above(BOTH, ["unsupervised_interpolation"]) | above(["deep_voxel_flow"], BOTH) | above(OURS, BOTH[:1]),
    "table4": above(BOTH, ("conv_gru_dt", "conv_gru_decay", *LATENT)) | above(OURS, BOTH[:1]),
}
LONGER = {
    ("ode_conv", "ode_fc"),
    ("vid_ode", "unsupervised_interpolation"),
    ("vid_ode", "deep_voxel_flow"),
    ("vid_ode", "prednet"),
    ("vid_ode", "D: + flow"),
    ("vid_ode", "vid_rnn"),
    ("vid_ode", "retrospective_cycle_gan"),
    ("vid_ode", "ode_conv"),
    *above(OURS, BOTH[:1]),
}


@pytest.fixture
def nothing_drawn(monkeypatch):
    monkeypatch.setattr(table2, "over_steps", lambda *_: "")


def judged(name, tmp_path):
    """Which row a page has above which."""
    page = paper.experiment(name).present(Outcomes([]), SMOKE, Places(tmp_path, tmp_path))
    return set(re.findall(r"^- (.+) above (.+?) \((?:fast scenes|scenes|fields|Bouncing balls), ", page, re.MULTILINE))


@pytest.mark.parametrize("name", PAGES)
def test_a_table_judges_what_the_paper_claims_of_it_and_that_ours_is_above(name, tmp_path, nothing_drawn):
    assert judged(name, tmp_path) == PAGES[name]


def test_the_ladder_has_each_step_above_the_one_before_and_backward_above_forward(tmp_path):
    steps = {("B: + ODE-ConvGRU", "ode_conv"), ("C: + critics", "B: + ODE-ConvGRU"), ("D: + flow", "C: + critics")}
    last = {("vid_ode", "D: + flow"), ("vid_ode", "vid_ode, forward in time")}
    assert judged("table5", tmp_path) == steps | last | above(OURS, BOTH[:1])


def test_longer_trainings_are_compared_with_longer_ones(tmp_path):
    suffix = ", 4 times the updates"
    assert judged("longer", tmp_path) == {(f"{one}{suffix}", f"{other}{suffix}") for one, other in LONGER}


def test_what_the_paper_prints():
    vid_ode = {
        "interpolation": [(0.911, 0.048, 31.77), (0.815, 0.115, 18.44), (0.920, 0.033, 26.73)],
        "extrapolation": [(0.878, 0.080, 28.19), (0.778, 0.156, 16.68), (0.880, 0.045, 23.81)],
    }
    for task, table in (("interpolation", INTERPOLATION), ("extrapolation", EXTRAPOLATION)):
        assert list(table["vid_ode"].values()) == [Printed(*scores) for scores in vid_ode[task]]
        assert LADDER["E"][task] == table["vid_ode"]["KTH Action"]
        assert LADDER["A"][task] == table["ode_conv"]["KTH Action"]
        assert (
            set(table)
            == {*LATENT, *STACKED, "vid_ode"}
            | {
                "interpolation": {"deep_voxel_flow", "unsupervised_interpolation"},
                "extrapolation": set(MADE_FOR_IT),
            }[task]
        )
    assert {
        "conv_gru_dt": Printed(lpips=0.270, mse=2.439),
        "conv_gru_decay": Printed(lpips=0.160, mse=0.583),
        "latent_ode": Printed(lpips=0.206, mse=0.554),
        "ode2vae": Printed(lpips=0.203, mse=0.551),
        "vid_ode": Printed(lpips=0.092, mse=0.515),
    } == CLIMATE
    assert CAM5 == "CAM5"
    assert MSE.written(0.000515) == "0.515"
    assert (MSE.signed(0.000515), PSNR.signed(-0.001)) == ("+0.515", "+0.00")
