"""Linear relatives: steps in plain NumPy, principal subspaces and equalised variances that are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits.models import pehlevan2014, pehlevan2015, pehlevan2018

EIGENVALUES = np.array([5, 4, 3, 0.5, 0.4, 0.3, 0.2, 0.1])


def patterns(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return patterns whose covariance has exactly these eigenvalues, and the eigenvectors as columns."""
    rng = np.random.default_rng(seed)
    white = np.linalg.qr(rng.normal(size=(n, 8)))[0] * n**0.5
    vectors = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    return white * np.sqrt(EIGENVALUES) @ vectors.T, vectors


def run(circuit: nc.Circuit, x: np.ndarray, engine=None, **phase) -> xr.DataTree:
    shown = (
        nc.Patterns(x, duration="100 ms").shuffled()
        if phase.pop("shuffled", False)
        else nc.Patterns(x, duration="100 ms")
    )
    protocol = nc.Protocol([nc.Phase("learn", {"S": shown}, **phase)])
    return nc.run(circuit, protocol, engine or nc.SteadyState(), 0, progress=False)


def w(tree: xr.DataTree, pathway: str, k: int = -1) -> np.ndarray:
    return tree[f"/synapses/{pathway}/w"].values[k]


def mixing(tree: xr.DataTree, k: int = -1) -> np.ndarray:
    """M, with the gains on its diagonal."""
    return w(tree, "E_to_E", k) + np.diag(tree["/slow/E/gain"].values[k])


def online(n: int) -> dict[str, nc.Inverse]:
    """1/(t + 5) of n patterns."""
    return dict.fromkeys(("S_to_E", "E_to_E", "E"), nc.Inverse(1 / 5, n / 5))


def test_similarity_matching_is_a_plain_loop() -> None:
    """Rejects a diagonal of M that does not learn, another rate than 2/(t + 5), and inhibition without its sign."""
    x, _ = patterns(40)
    tree = run(pehlevan2018.circuit(8, 3), x, plasticity=online(40))
    W, M = w(tree, "S_to_E", 0), mixing(tree, 0)
    for t, u in enumerate(x):
        y = np.linalg.solve(M, W @ u)
        W, M = (old + 2 / (t + 5) * (np.outer(y, into) - old) for old, into in ((W, u), (M, y)))
    np.testing.assert_allclose(w(tree, "S_to_E"), W, rtol=0, atol=1e-9)
    np.testing.assert_allclose(mixing(tree), M, rtol=0, atol=1e-9)


def test_it_learns_the_principal_subspace() -> None:
    """M^-1 W has orthonormal rows in the leading subspace (error below 0.02), M the leading eigenvalues within 2 %."""
    x, vectors = patterns(200)
    phase = {"epochs": 10, "plasticity": online(2000), "shuffled": True}
    tree = run(pehlevan2018.circuit(8, 3), x, **phase)
    F = np.linalg.solve(mixing(tree), w(tree, "S_to_E"))
    leading = vectors[:, :3]
    assert np.linalg.norm(leading @ leading.T - F.T @ F) / 3**0.5 < 0.02
    np.testing.assert_allclose(F @ F.T, np.eye(3), rtol=0, atol=2e-3)
    np.testing.assert_allclose(np.linalg.eigvalsh(mixing(tree))[::-1], EIGENVALUES[:3], rtol=0.02)


@pytest.mark.parametrize(("ratio", "reached"), [(0.1, True), (0.5, True), (1.5, False)])
def test_offline_it_reaches_the_optimum_if_inhibition_is_fast(ratio: float, reached: bool) -> None:
    """The best value is a quarter of the sum of squares of the leading eigenvalues. Rejects rates that are swapped."""
    x, _ = patterns(60)
    tree = run(pehlevan2018.offline(ratio, 0.02, n_sensory=8, n_cells=4), x, nc.SteadyState(batch=60), epochs=800)
    F, C = np.linalg.solve(mixing(tree), w(tree, "S_to_E")), x.T @ x / 60
    value, best = ((F @ C) ** 2).sum() / 2 - ((F @ C @ F.T) ** 2).sum() / 4, (EIGENVALUES[:4] ** 2).sum() / 4
    assert value <= best * (1 + 1e-9)
    assert (value > 0.999 * best) == reached


def test_interneurons_learn_as_a_plain_loop_does() -> None:
    """Rejects counts of presentations that lag one behind, one alpha for both, and inhibition without its sign."""
    x, _ = patterns(40)
    tree = run(pehlevan2015.circuit(8, 4, 5, alpha=0.8, beta=1.5), x)
    YX, YZ, ZY = (w(tree, name, 0) for name in ("S_to_Y", "Z_to_Y", "Y_to_Z"))
    for t, u in enumerate(x, start=11):
        y = np.linalg.solve(np.eye(4) + YZ @ ZY, YX @ u)
        z = ZY @ y
        YX, YZ = (old + (np.outer(y, into) - 0.8 * old) / (0.8 * t) for old, into in ((YX, u), (YZ, z)))
        ZY = ZY + (np.outer(z, y) - 1.5 * ZY) / (1.5 * t)
    for name, expected in (("S_to_Y", YX), ("Z_to_Y", YZ), ("Y_to_Z", ZY)):
        np.testing.assert_allclose(w(tree, name), expected, rtol=0, atol=1e-9)


def test_interneurons_equalise_what_passes_the_threshold() -> None:
    """Eigenvalues: beta of Y, lambda - alpha of Z, within 5 %; weights there and back are in the ratio beta/alpha."""
    x, _ = patterns(200)
    alpha, beta = 0.8, 1.5
    tree = run(pehlevan2015.circuit(8, 6, 5, alpha=alpha, beta=beta), x, epochs=10, shuffled=True)
    YX, YZ, ZY = (w(tree, name) for name in ("S_to_Y", "Z_to_Y", "Y_to_Z"))
    y = np.linalg.solve(np.eye(6) + YZ @ ZY, YX @ x.T)
    outputs, others = (np.linalg.eigvalsh(a @ a.T / len(x))[::-1] for a in (y, ZY @ y))
    np.testing.assert_allclose(outputs[:3], beta, rtol=0.05)
    np.testing.assert_allclose(others[:3], EIGENVALUES[:3] - alpha, rtol=0.05)
    assert outputs[3:].max() < 0.05 and others[3:].max() < 0.05
    np.testing.assert_allclose(YZ, beta / alpha * ZY.T, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "circuit",
    [
        pehlevan2018.circuit(8, 3, tau="1 ms", initial=0.5),
        pehlevan2015.circuit(8, 4, 4, tau="1 ms"),
        pehlevan2014.circuit(8, 4, signed=True, tau="1 ms"),
    ],
    ids=lambda circuit: circuit.name,
)
def test_continuous_time_comes_to_the_same_rest(circuit: nc.Circuit) -> None:
    """Euler steps of a tenth of the time constant, learning at the end of each presentation."""
    x, _ = patterns(16)
    protocol = [nc.Window("90 ms", plastic=False), nc.Window("10 ms", hold=True, step="10 ms")]
    steady, timed = (
        run(circuit, x, engine, timetable=protocol)
        for engine in (nc.SteadyState(), nc.Brian2(dt="0.1 ms", method="euler"))
    )
    for name in steady["/synapses"].children:
        np.testing.assert_allclose(w(timed, name), w(steady, name), rtol=0, atol=1e-5)


def test_bad_settings_get_a_clear_error() -> None:
    for wrong in (
        lambda: pehlevan2015.circuit(alpha=0.0),
        lambda: pehlevan2018.circuit(initial=0.0),
        lambda: pehlevan2018.offline(ratio=0.0),
    ):
        with pytest.raises(nc.ValidationError, match="positive"):
            wrong()
