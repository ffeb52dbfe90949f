"""Vid-ODE: the paper's sizes and chain, each choice of its configuration, and what it is trained for."""

import pytest
import torch

from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, build, parameter_count
from vidode.models.vid_ode import previous_frames

OPTIONS = {
    "default": {},
    "forward": {"encoder": {"direction": "forward"}},
    "encoder solver": {"encoder": {"solver": {"method": "rk4", "step": 0.02}}},
    "composed": {"chain": {"source": "composed"}},
    "state": {"chain": {"first_state": "state"}},
    "per step": {"chain": {"decode": "per_step"}},
    "queried": {"chain": {"points": "queried"}},
    "first query": {"chain": {"points": "queried", "origin": "first_query"}},
    "dopri5": {"solver": {"method": "dopri5"}},
    "flow": {"output": "flow"},
    "frame": {"output": "frame"},
    "released head": {"encoder": {"unused_half": True}},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def network(**options):
    torch.manual_seed(0)
    return build("vid_ode", **{"width": 4, **options}).eval()


def clips(count=2, steps=5, size=(16, 16), gap=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    times = gap * torch.arange(steps).double()
    return Batch.collate([Clip(torch.rand(steps, 3, *size, generator=generator), times) for _ in range(count)])


def example(task, queries=3, **options):
    observed = clips(**options)
    last = float(observed.times.max())
    query = observed.times[:, :queries] if task == "interpolation" else last + 0.1 * torch.arange(1.0, queries + 1)
    query = query.double().expand(len(observed.times), -1)
    target = torch.rand(*query.shape, *observed.frames.shape[2:], generator=torch.Generator().manual_seed(7))
    return Example(observed, query, target, task)


def test_the_size_of_the_default():
    assert parameter_count(build("vid_ode")) == 1_899_206


@pytest.mark.parametrize(("output", "maps"), [("full", 6), ("flow", 2), ("frame", 3)])
def test_the_ladder_changes_the_head_alone(output, maps):
    full, other = network(), network(output=output)
    per_map = full.frame_decoder.layers[-1].weight[0].numel() + 1
    assert parameter_count(full) - parameter_count(other) == (6 - maps) * per_map


@torch.no_grad()
def test_in_the_papers_regular_extrapolation_the_grid_is_the_papers_chain():
    asked = example("extrapolation", queries=5)
    lawful, paper = network(), network(chain={"points": "queried"})
    got, expected = (model(asked.observed, asked.query) for model in (lawful, paper))
    torch.testing.assert_close(got.frames, expected.frames, rtol=0, atol=1e-5)
    torch.testing.assert_close(got.flow, expected.flow, rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_chain_starts_at_the_first_frame_in_interpolation_and_at_the_last_in_extrapolation():
    model, observed = network(), clips()
    model.frame_decoder.layers[-1].weight[:2] = 0
    model.frame_decoder.layers[-1].bias[:2] = 0
    warped = model(observed, torch.tensor([[0.13, 0.4, 0.47]], dtype=torch.float64).expand(2, -1)).warped[:, :, 0]
    for place, frame in ((0, 0), (1, 0), (2, 4)):
        torch.testing.assert_close(warped[:, place], observed.frames[:, frame], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("direction", "anchor"), [("backward", 0), ("forward", 4)])
@torch.no_grad()
def test_the_encoders_state_belongs_to_the_observation_it_visits_last(direction, anchor):
    model, observed, states = network(encoder={"direction": direction}), clips(), []
    model.z0.register_forward_hook(lambda module, inputs, output: states.append(output))
    latent = model(observed, observed.times[:, [anchor]]).latent[:, 0]
    torch.testing.assert_close(latent, states[0])


@torch.no_grad()
def test_the_state_before_the_first_step_is_that_of_the_start_frame():
    query = torch.tensor([[0.47]], dtype=torch.float64).expand(2, -1)
    model, observed, pairs = network(chain={"first_state": "state"}), clips(), []
    at_start = model(observed, observed.times[:, [4]]).latent[:, 0]
    model.frame_decoder.register_forward_hook(lambda module, inputs, output: pairs.append(inputs[0]))
    latent = model(observed, query).latent[:, 0]
    torch.testing.assert_close(pairs[0], torch.cat([latent, at_start], dim=1))
    assert (latent - at_start).abs().max() > 1e-4


@every_option
@torch.no_grad()
def test_every_option_answers_both_tasks_at_once(options):
    observed = clips(size=(11, 14))
    query = torch.tensor([[0.0, 0.17, 0.4, 0.71, 0.17]], dtype=torch.float64).expand(2, -1)
    prediction = network(**options)(observed, query)
    parts = {name for name, part in vars(prediction).items() if part is not None}
    kinds = {"flow": {"flow", "warped"}, "frame": set()}
    assert parts == {"frames", "latent"} | kinds.get(options.get("output"), {"flow", "warped", "difference", "mask"})
    assert prediction.frames.shape == (2, 5, 3, 11, 14)
    assert bool(prediction.frames.isfinite().all())
    torch.testing.assert_close(prediction.frames[:, 1], prediction.frames[:, 4])


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in ("default", "per step", "released head")])
@torch.no_grad()
def test_every_option_changes_the_frames(name):
    query = torch.tensor([[0.07, 0.17, 0.35]], dtype=torch.float64).expand(2, -1)
    torch.manual_seed(0)
    changed, default = network(**OPTIONS[name]), network()
    for parameter in default.parameters():  # a new model's latents hardly move
        parameter.add_(0.1 * torch.randn_like(parameter))
    if "output" not in OPTIONS[name]:
        changed.load_state_dict(default.state_dict())
    apart = (changed(clips(), query).frames - default(clips(), query).frames).abs().max()
    assert apart > (1e-9 if name == "dopri5" else 1e-5)


@torch.no_grad()
def test_the_composition_is_equation_two():
    asked = example("extrapolation")
    made = network()(asked.observed, asked.query)
    composed = made.mask * made.warped[:, :, 0] + (1 - made.mask) * made.difference
    torch.testing.assert_close(made.frames, composed)


@torch.no_grad()
def test_decoding_together_differs_only_in_the_statistics_of_training():
    asked = example("extrapolation")
    step, together = network(chain={"decode": "per_step"}), network()
    assert torch.equal(step(asked.observed, asked.query).frames, together(asked.observed, asked.query).frames)
    answers = [model.train()(asked.observed, asked.query).frames for model in (step, together)]
    assert (answers[0] - answers[1]).abs().max() > 1e-4


@torch.no_grad()
def test_training_breaks_steps_at_random_places_and_by_the_seed():
    asked = example("extrapolation", queries=5)
    model = network(chain={"extra": 0.5}).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(asked.observed, asked.query).frames)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(model.eval()(asked.observed, asked.query).frames, model(asked.observed, asked.query).frames)


@torch.no_grad()
def test_statistics_of_the_batch_are_used_where_they_are_asked_for():
    asked = example("extrapolation")
    usual, published = network(), network(statistics="batch")
    alone = Batch(*(None if v is None else v[:1] for v in vars(asked.observed).values()))
    for model, same in ((usual, True), (published, False)):
        together = model(asked.observed, asked.query).frames[:1]
        assert torch.allclose(together, model(alone, asked.query[:1]).frames, atol=1e-5) is same


def test_unseen_frames_stay_out_of_the_statistics_of_training():
    observed = clips(steps=6)
    observed.seen[:, 4:] = False
    observed.frames[:, 4:] = 50.0
    model = network().train()
    model(observed, torch.tensor([[0.45]], dtype=torch.float64).expand(2, -1))
    assert float(model.frame_encoder.layers[1].running_mean.abs().max()) < 1


def test_a_query_before_the_first_frame_is_refused():
    with pytest.raises(
        InvalidInput, match=r"query time -0.1 lies before the first observed frame at 0;.*anchored_vid_ode"
    ):
        network()(clips(), torch.tensor([[0.2, -0.1]]).expand(2, -1))


@pytest.mark.parametrize("task", ["interpolation", "extrapolation"])
def test_the_objective_has_the_papers_terms(task):
    model, asked = network().train(), example(task)
    objective, made = model.objective(), model(asked.observed, asked.query)
    terms = objective.model_terms(asked, made)
    assert set(terms) == {"reconstruction", "difference", "image", "sequence"}
    torch.testing.assert_close(terms["reconstruction"], (made.frames - asked.target).abs().mean())
    sum(terms.values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert not any(p.grad is not None for p in objective.parameters())
    assert all(p.requires_grad for p in objective.parameters())


@pytest.mark.parametrize("task", ["interpolation", "extrapolation"])
def test_the_critics_learn_from_detached_frames(task):
    model, asked = network().train(), example(task)
    objective, made = model.objective(), model(asked.observed, asked.query)
    terms = objective.critic_terms(asked, made)
    assert set(terms) == {"image", "sequence"}
    sum(terms.values()).backward()
    assert not any(p.grad is not None for p in model.parameters())
    before_norm = ("layers.2.bias", "layers.5.bias", "layers.8.bias")  # instance normalisation takes them away
    for critic in (objective.image, objective.sequence[task]):
        for name, parameter in critic.named_parameters():
            channels = parameter.grad.reshape(len(parameter), -1).abs().sum(dim=1)
            assert name in before_norm or bool(channels.all()), name


def test_weights_of_zero_leave_terms_out():
    model, asked = network(objective={"difference": 0.0, "image": 0.0, "sequence": 0.0}), example("extrapolation")
    objective = model.objective()
    assert not list(objective.parameters())
    assert set(objective.model_terms(asked, model(asked.observed, asked.query))) == {"reconstruction"}
    assert objective.critic_terms(asked, model(asked.observed, asked.query)) == {}


def test_weights_scale_their_terms():
    asked, terms = example("extrapolation"), []
    for weight in (1.0, 2.0):
        model = network(objective={"difference": weight, "image": weight, "sequence": weight})
        torch.manual_seed(1)
        objective = model.objective()
        made = model(asked.observed, asked.query)
        terms.append([objective.model_terms(asked, made), objective.critic_terms(asked, made)])
    for one, two in zip(*terms, strict=True):
        for name, term in one.items():
            ratio = 1 if name == "reconstruction" else 2
            torch.testing.assert_close(two[name], ratio * term)


def test_the_frame_before_is_the_one_asked_before_or_the_start_of_the_chain():
    observed = clips(count=1, steps=5)
    query = torch.tensor([[0.7, 0.2, 0.5, 0.0, 0.3]], dtype=torch.float64)
    target = torch.rand(1, 5, 3, 16, 16)
    previous = previous_frames(build("vid_ode").config, Example(observed, query, target, "extrapolation"))
    expected = [
        target[0, 2],  # .7 after .5
        target[0, 3],  # .2 after 0
        observed.frames[0, 4],  # .5 is the first beyond the last frame, where its chain starts
        observed.frames[0, 0],  # 0 is the start itself
        target[0, 1],  # .3 after .2
    ]
    assert torch.equal(previous[0], torch.stack(expected))


def test_the_sequence_critic_is_shown_all_generated_frames_or_the_last_alone():
    terms = {}
    for generated in ("all", "last"):
        model = network(objective={"generated": generated})
        asked = example("extrapolation", queries=5, size=(64, 64))
        torch.manual_seed(1)
        terms[generated] = model.objective().eval().model_terms(asked, model(asked.observed, asked.query))
    assert terms["all"]["image"] == terms["last"]["image"]
    assert terms["all"]["sequence"] != terms["last"]["sequence"]


def test_a_solve_from_the_first_query_needs_a_chain_through_the_queries():
    with pytest.raises(InvalidInput, match="origin is first_query with points 'grid'; expected points 'queried'"):
        build("vid_ode", chain={"origin": "first_query"})
