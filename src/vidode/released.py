"""The published weights of Vid-ODE, in a model that answers as the published code does.

That code breaks the laws of this library: its solver starts at the first query, whatever that is, and its warps go
through the queries in order. Use `vidode.models.vid_ode` for frames that depend on their own time alone.

Not reproduced: batch statistics in evaluation (`statistics="batch"` in the configuration of `vid_ode`), and a step
choice of dopri5 that all clips of a batch share; here each clip is solved by itself, within the same tolerance.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vidode.blocks.chain import edge
from vidode.blocks.frames import encode_seen
from vidode.blocks.warp_decoder import WarpChainConfig
from vidode.clip import Batch, InvalidInput
from vidode.models import TASKS, Objective, Prediction, Task, VideoModel
from vidode.models.vid_ode import EncoderConfig, VidOde, VidOdeConfig
from vidode.ode import Solver, integrate
from vidode.timing import TimeScale

NAMES = {
    "encoder.model.": "frame_encoder.layers.",
    "encoder_z0.cell_list.0.conv_gates.": "encoder.cell.gates.",
    "encoder_z0.cell_list.0.conv_can.": "encoder.cell.candidate.",
    "encoder_z0.transform_z0.": "z0.",
    "encoder_z0.z0_diffeq_solver.ode_func.gradient_net.": "encoder.field.layers.",
    "diffeq_solver.ode_func.gradient_net.": "field.layers.",
    "decoder.model.": "frame_decoder.layers.",
}
"""Beginnings of the published names, and of the names here."""


class ReleasedVidOde(VideoModel):
    """The published code's forward pass.

    grid: times that are solved on but not decoded, as the published interpolation test does. A solver of fixed steps
    takes one from each time to the next. One unit of the clip's clock is one unit of model time.
    """

    function_of_time = False
    config: VidOdeConfig

    def __init__(self, config: VidOdeConfig, grid: Sequence[float] = ()) -> None:
        super().__init__()
        self.config = config
        self.network = VidOde(config)
        self.register_buffer("grid", torch.tensor(list(grid), dtype=torch.float64), persistent=False)

    @abstractmethod
    def start(self, seen: Tensor) -> Tensor:
        """(B,) which of the seen (B, T) frames the chain of warps starts at."""

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """Every query (B, K), decoded in order of time; the encoder's state is taken for that of the first."""
        times, order = query.double().sort(dim=1)
        clips, start = torch.arange(len(query), device=query.device), self.start(observed.seen)
        x = encode_seen(self.network.frame_encoder, observed.frames, observed.seen)
        h = self.network.gather(x, observed.times, observed.seen)
        states = self._solve(h, times)  # (B, K, D, h, w)
        before, warped = x[clips, start], observed.frames[clips, start]
        steps = []
        for h in states.unbind(dim=1):
            parts = self.network.frame_decoder.decode(h, before, (warped.shape[-2], warped.shape[-1]))
            steps.append(self.network.frame_decoder.step(warped, parts))
            before, warped = h, steps[-1]["warped"]
        asked = clips[:, None], order.argsort(dim=1)
        made = {name: torch.stack([step[name] for step in steps], dim=1)[asked] for name in steps[0]}
        return Prediction(
            frames=made["frames"],
            flow=made["flow"][:, :, None],
            mask=made["mask"],
            difference=made["difference"],
            warped=made["warped"][:, :, None],
            latent=states[asked],
        )

    def objective(self) -> Objective:
        """As `vid_ode`'s."""
        return self.network.objective()

    def _solve(self, h: Tensor, times: Tensor) -> Tensor:
        """States at `times` (B, K), starting from h at the first time of these and of the grid."""
        grid: Any = self.grid
        ordered, order = torch.cat([times, grid.expand(len(times), -1)], dim=1).sort(dim=1)
        states = self._through(h, ordered)
        place = order.argsort(dim=1)[:, : times.shape[1]]
        return states[torch.arange(len(times), device=times.device)[:, None], place]

    def _through(self, h: Tensor, times: Tensor) -> Tensor:
        def field(_: Tensor, state: Tensor) -> Tensor:
            rate: Tensor = self.network.field(state)
            return rate

        if self.config.solver.method == "dopri5":
            return integrate(field, h, times[:, 0], times, self.config.solver).states
        states = [h]
        for last, now in zip(times.unbind(1), times[:, 1:].unbind(1), strict=False):
            states.append(integrate(field, states[-1], last, now[:, None], self.config.solver).states[:, 0])
        return torch.stack(states, dim=1)


class ReleasedInterpolation(ReleasedVidOde):
    """Warps the first observed frame."""

    tasks = ("interpolation",)

    def start(self, seen: Tensor) -> Tensor:
        """See `ReleasedVidOde.start`."""
        return edge(seen, last=False)


class ReleasedExtrapolation(ReleasedVidOde):
    """Warps the last observed frame."""

    tasks = ("extrapolation",)

    def start(self, seen: Tensor) -> Tensor:
        """See `ReleasedVidOde.start`."""
        return edge(seen, last=True)


def load_released(
    state: Mapping[str, Any] | str | Path,
    *,
    task: Task,
    solver: Literal["dopri5", "euler", "midpoint"] = "dopri5",
    rtol: float = 1e-3,
    atol: float = 1e-4,
    width: int | None = None,
    grid: Sequence[float] = (),
) -> ReleasedVidOde:
    """Published weights as a model in evaluation mode that answers as the published code.

    state: a state dictionary of the published code, or a .pth (nothing in it is executed) or .safetensors file of one.
    task: "interpolation" or "extrapolation"; decides which observed frame is warped. width: channels of the first map,
    32 in the paper; read from the weights where it is not given. grid: further times to solve on, in the clip's clock.
    Raises `InvalidInput` for weights that are not such a state, naming the first key that is missing or unknown.
    """
    if task not in TASKS:
        raise InvalidInput(f"task is {task!r}; expected 'interpolation' or 'extrapolation'")
    if solver not in ("dopri5", "euler", "midpoint"):
        raise InvalidInput(f"solver is {solver!r}; expected 'dopri5', 'euler' or 'midpoint', as the published code has")
    weights = _renamed(_read(state) if isinstance(state, (str, Path)) else state)
    first = weights.get("frame_encoder.layers.0.weight")
    found, channels = (int(first.shape[0]), int(first.shape[1])) if first is not None else (32, 3)
    if width not in (None, found):
        raise InvalidInput(f"the weights have width {found}; expected {width}: give width={found}, or leave it out")
    config = VidOdeConfig(
        channels=channels,
        width=found,
        time_scale=TimeScale("absolute", 1.0),
        solver=Solver(solver, step=None, rtol=rtol, atol=atol),
        encoder=EncoderConfig(unused_half=True),
        chain=WarpChainConfig(points="queried", origin="first_query", decode="per_step"),
    )
    model = (ReleasedInterpolation if task == "interpolation" else ReleasedExtrapolation)(config, grid)
    _require_same(weights, model.network.state_dict())
    model.network.load_state_dict(weights)
    return model.eval()


def _read(path: str | Path) -> Mapping[str, Any]:
    path = Path(path)
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}; expected a .pth or .safetensors file of published weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InvalidInput(f"{path} cannot be read as weights ({reason}); expected a state dictionary") from error
    if not isinstance(loaded, Mapping):
        raise InvalidInput(f"{path} holds {type(loaded).__name__}; expected a state dictionary")
    return loaded


def _renamed(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights under the names used here. A training checkpoint holds them one level down."""
    inner = [value for value in state.values() if isinstance(value, Mapping) and "encoder.model.0.weight" in value]
    return {_own_name(name): value for name, value in (inner[0] if inner else state).items()}


def _own_name(name: str) -> str:
    for theirs, own in NAMES.items():
        if name.startswith(theirs):
            return own + name.removeprefix(theirs)
    raise InvalidInput(f"unknown weight {name!r}; expected the state dictionary of a published Vid-ODE")


def _published_name(name: str) -> str:
    return next(theirs + name.removeprefix(own) for theirs, own in NAMES.items() if name.startswith(own))


def _require_same(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise `InvalidInput` for the first weight that is missing, too many, or of another shape."""
    for name in [*expected, *weights]:
        if name not in weights:
            raise InvalidInput(f"weight {_published_name(name)!r} is missing; expected all of a published Vid-ODE")
        if name not in expected:
            raise InvalidInput(f"unknown weight {_published_name(name)!r}; expected those of a published Vid-ODE")
        if weights[name].shape != expected[name].shape:
            got, wanted = tuple(weights[name].shape), tuple(expected[name].shape)
            raise InvalidInput(f"weight {_published_name(name)!r} has shape {got}; expected {wanted}")
