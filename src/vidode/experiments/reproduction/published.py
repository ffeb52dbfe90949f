"""What the paper prints (Vid-ODE, AAAI 2021, Tables 1 to 5), to stand beside what is measured here.

SSIM and PSNR are better high, LPIPS and MSE low. Sets: KTH Action, Moving GIF, Penn Action; MSE of CAM5 in 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass

SETS = ("KTH Action", "Moving GIF", "Penn Action")
CAM5 = "CAM5"


@dataclass(frozen=True)
class Printed:
    """One model's scores on one set; None where the paper has none."""

    ssim: float | None = None
    lpips: float | None = None
    psnr: float | None = None
    mse: float | None = None


def _row(text: str) -> dict[str, Printed]:
    """Scores of the three sets, as the paper prints them: SSIM, LPIPS, PSNR, sets divided by a slash."""
    parts = [[float(value) for value in part.split(",")] for part in text.split("/")]
    return {name: Printed(*values) for name, values in zip(SETS, parts, strict=True)}


INTERPOLATION: dict[str, dict[str, Printed]] = {
    "latent_ode": _row(".730,.481,20.99/.700,.483,15.69/.377,.762,15.63"),
    "ode2vae": _row(".752,.456,23.28/.715,.456,16.49/.433,.687,17.06"),
    "ode_fc": _row(".749,.444,22.96/.717,.446,16.55/.447,.643,17.40"),
    "ode_conv": _row(".769,.416,25.12/.745,.380,17.88/.550,.538,19.25"),
    "deep_voxel_flow": _row(".954,.037,36.28/.850,.130,19.41/.955,.024,30.11"),
    "unsupervised_interpolation": _row(".934,.055,29.97/.700,.163,17.13/.904,.042,25.21"),
    "vid_ode": _row(".911,.048,31.77/.815,.115,18.44/.920,.033,26.73"),
}
EXTRAPOLATION: dict[str, dict[str, Printed]] = {
    "latent_ode": _row(".730,.495,20.61/.675,.513,14.41/.374,.775,15.32"),
    "ode2vae": _row(".755,.430,23.19/.704,.471,15.91/.423,.701,16.90"),
    "ode_fc": _row(".750,.442,23.00/.704,.452,15.86/.342,.753,15.00"),
    "ode_conv": _row(".768,.429,24.31/.713,.429,16.23/.557,.514,19.23"),
    "conv_gru": _row(".764,.379,21.52/.467,.532,11.49/.625,.262,18.48"),
    "prednet": _row(".825,.242,22.15/.649,.232,14.64/.840,.073,19.01"),
    "deep_voxel_flow": _row(".837,.129,26.05/.777,.215,16.39/.790,.102,21.90"),
    "retrospective_cycle_gan": _row(".820,.187,21.92/.593,.491,11.17/.809,.098,20.13"),
    "vid_ode": _row(".878,.080,28.19/.778,.156,16.68/.880,.045,23.81"),
}
LADDER: dict[str, dict[str, Printed]] = {
    "A": {"interpolation": Printed(0.769, 0.416, 25.12), "extrapolation": Printed(0.768, 0.429, 24.31)},
    "B": {"interpolation": Printed(0.864, 0.247, 27.81), "extrapolation": Printed(0.853, 0.262, 26.49)},
    "C": {"interpolation": Printed(0.866, 0.226, 28.60), "extrapolation": Printed(0.856, 0.245, 27.69)},
    "D": {"interpolation": Printed(0.912, 0.052, 31.60), "extrapolation": Printed(0.862, 0.085, 28.30)},
    "E": {"interpolation": Printed(0.911, 0.048, 31.77), "extrapolation": Printed(0.878, 0.080, 28.19)},
}
CLIMATE: dict[str, Printed] = {
    "conv_gru_dt": Printed(lpips=0.270, mse=2.439),
    "conv_gru_decay": Printed(lpips=0.160, mse=0.583),
    "latent_ode": Printed(lpips=0.206, mse=0.554),
    "ode2vae": Printed(lpips=0.203, mse=0.551),
    "vid_ode": Printed(lpips=0.092, mse=0.515),
}
