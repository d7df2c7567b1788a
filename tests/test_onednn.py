"""Products by oneDNN, against torch's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'neurocircuits[torch]'")

from neurocircuits import onednn  # noqa: E402


@pytest.mark.parametrize("bias", [True, False])
def test_products_are_those_of_torch(bias: bool) -> None:
    torch.manual_seed(3)
    x, weight = torch.randn(30, 20), torch.randn(50, 20)
    b = torch.randn(50) if bias else None
    assert torch.allclose(onednn.times(x, weight, b), torch.nn.functional.linear(x, weight, b), atol=1e-5)
    ours, theirs = (kind(20, 50, bias=bias) for kind in (onednn.Linear, torch.nn.Linear))
    ours.load_state_dict(theirs.state_dict())
    wide = torch.randn(4, 6, 20, requires_grad=True)
    outputs = [layer(wide) for layer in (ours, theirs)]
    above = torch.randn(4, 6, 50)
    found, expected = (
        torch.autograd.grad(output, [wide, *layer.parameters()], above)
        for output, layer in zip(outputs, (ours, theirs), strict=True)
    )
    assert torch.allclose(*outputs, atol=1e-5)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=2e-5)
