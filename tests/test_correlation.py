import torch
import torch.nn.functional as F

from vidode.blocks.correlation import correlation


def test_a_shifted_map_matches_best_where_it_was_shifted_to():
    a = torch.randn(2, 8, 9, 11)
    b = torch.roll(a, (2, -1), dims=(-2, -1))  # b(p + d) = a(p) for d = (row 2, column -1)
    best = correlation(a, b, 2).argmax(dim=1)
    inside = best[:, 2:-2, 2:-2]
    assert bool((inside == 4 * 5 + 1).all())


def test_a_map_is_one_with_itself_and_zero_beyond_the_border():
    a = torch.randn(1, 6, 4, 4) + 1
    values = correlation(a, a, 1).unflatten(1, (3, 3))
    assert torch.allclose(values[:, 1, 1], torch.ones(1, 4, 4), atol=1e-5)
    assert bool((values[:, 0, :, 0] == 0).all())
    assert bool((values[:, :, 2, :, -1] == 0).all())


def test_gradient_is_that_of_the_plain_sum():
    a, b = (torch.randn(2, 3, 4, 5, requires_grad=True) for _ in range(2))
    unit = [F.normalize(x, dim=1, eps=1e-2) for x in (a, b)]
    windows = F.unfold(unit[1], 3, padding=1).unflatten(1, (3, 9)).unflatten(-1, (4, 5))
    plain = (unit[0][:, :, None] * windows).sum(dim=1)
    weight = torch.randn_like(plain)
    ours = correlation(a, b, 1)
    assert torch.allclose(ours, plain, atol=1e-6)
    expected = torch.autograd.grad((plain * weight).sum(), (a, b))
    got = torch.autograd.grad((ours * weight).sum(), (a, b))
    for left, right in zip(got, expected, strict=True):
        assert torch.allclose(left, right, atol=1e-5)
