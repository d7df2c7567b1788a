"""The soft-max over words in blocks equals torch's cross-entropy, and its derivatives."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'neurocircuits[torch]'")

from torch import Tensor  # noqa: E402

from neurocircuits.recurrent import likelihood  # noqa: E402
from neurocircuits.recurrent.likelihood import negative_log_likelihood  # noqa: E402


def drawn(size: float = 1.0) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((13, 4), (9, 4), (9,))
    values = [size * torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [each.requires_grad_() for each in values], torch.randint(0, 9, (13,), generator=generator)


@pytest.mark.parametrize("scores", [1, 9 * 5, 9 * 13, 10**6])
def test_blocks_of_any_size_give_torch_s_cross_entropy_and_its_derivatives(
    scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rejects derivatives that forget a block, a word, or the factor in front of the loss."""
    monkeypatch.setattr(likelihood, "_SCORES", scores)
    (x, weight, bias), y = drawn()
    given = torch.autograd.grad(3 * negative_log_likelihood(x, weight, bias, y), (x, weight, bias))
    loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, y)
    expected = torch.autograd.grad(3 * loss, (x, weight, bias))
    with torch.no_grad():
        found = negative_log_likelihood(x, weight, bias, y)
    assert float(found) == pytest.approx(float(loss.detach()), rel=1e-14)
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)


def test_without_gradients_no_derivatives_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects two products of three for nothing in each pass that validates or tests."""
    monkeypatch.setattr(likelihood, "of_weights", lambda *_: pytest.fail("of_weights was called"))
    (x, weight, bias), y = drawn()
    with torch.no_grad():
        negative_log_likelihood(x, weight, bias, y)


def test_words_that_are_next_to_impossible_have_a_finite_loss() -> None:
    """Rejects the logarithm of a share that has become 0."""
    (x, weight, bias), y = drawn(size=200.0)
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(x @ weight.T + bias, y)
        found = negative_log_likelihood(x, weight, bias, y)
    assert float(expected) > 1e4
    assert float(found) == pytest.approx(float(expected), rel=1e-14)
