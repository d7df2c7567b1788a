"""The mean field of spiking circuits against closed forms, another solver, Monte Carlo and the spikes themselves."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.analysis.mean_field import Conductances
from neurocircuits.models import brunel2000, vogels2011
from tests.references.circuits import weights

REST = nc.Protocol([nc.Phase("rest", duration="1 s", record=nc.Record("r"), plasticity=False)])


def rates(circuit: nc.Circuit, population: str = "E", protocol: nc.Protocol = REST, seed: int = 0) -> np.ndarray:
    tree = nc.run(circuit, protocol, nc.SteadyState(), seed, progress=False)
    return tree[f"/populations/{population}"].ds["r"].values


@pytest.mark.parametrize("panel", ["B", "C", "D"])
def test_brunels_rates_follow_from_the_declared_network(panel: str) -> None:
    """The network of 12 500 cells, read per population, rests where the solver of self-consistent rates says."""
    found = rates(nc.mean_field(brunel2000.panel(panel), per="population"))
    assert found.shape[1] == 1
    np.testing.assert_allclose(found[-1], brunel2000.predicted_rate(*brunel2000.PANELS[panel]), rtol=1e-6)


def test_equal_cells_have_the_rate_of_their_population() -> None:
    """With fixed in-degrees and equal weights every cell receives the same, whatever the draw of synapses."""
    circuit = brunel2000.circuit(n_excitatory=80, n_synapses=20, J="1 mV", external="diffusion")
    each = rates(circuit)
    assert each.shape[1] == 80
    np.testing.assert_allclose(each[-1], rates(nc.mean_field(circuit, per="population"))[-1, 0], rtol=1e-6)


def test_conductances_are_read_as_an_effective_time_constant() -> None:
    """Rates of the recurrent network are a fixed point of the reading of conductances in `analysis.mean_field`."""
    circuit = vogels2011.recurrent("brian", 800, 200, in_degree=(160, 40), initial="3.5 nS", plastic=False)
    mean = nc.mean_field(circuit, per="population")
    nu = np.array([rates(mean, name)[-1, 0] for name in "EI"])
    cell = Conductances(200e-12, 10e-9, -0.06, -0.05, -0.06, 0.005, (0.0, -0.08), (0.005, 0.01), 200e-12)
    for k, inhibition in enumerate((3.5e-9, 3e-9)):
        w, n = np.array([0.3e-9, inhibition]), np.array([160, 40])
        assert cell.rate(n * w * nu, n * w**2 * nu) == pytest.approx(nu[k], rel=1e-6)


def poisson_cell() -> nc.Circuit:
    """Two populations of Poisson cells, one inhibitory, onto graded cells whose input decays."""
    source = {"equations": "rate = drive*Hz : Hz", "threshold": "rand() < rate*dt", "transfer": "r = drive : 1"}
    return nc.Circuit(
        "filtered",
        [
            nc.Population("X", 3),
            nc.Population("A", 3, **source),
            nc.Population("B", 3, sign="inhibitory", **source),
            nc.Population("G", 2, "dx/dt = -x/tau : 1 (input)\nr = x + 10 : 1", parameters={"tau": "20 ms"}),
        ],
        [
            nc.Synapses("X", "A", connectivity=nc.OneToOne()),
            nc.Synapses("X", "B", connectivity=nc.OneToOne()),
            nc.Synapses("A", "G", weights=np.array([[0.5, 1.0, 0.0], [0.5, 0.25, 2.0]])),
            nc.Synapses("B", "G", weights=np.array([[0.25, 0.5, 0.75], [0.0, 1.0, 0.5]])),
        ],
    )


def test_graded_cells_receive_the_mean_of_filtered_spikes() -> None:
    """In closed form x = tau (W_A - W_B) nu; and the same circuit with spikes has this mean within 4 standard errors."""
    nu = np.array([10.0, 40.0, 20.0])
    phase = nc.Phase("rest", {"X": nc.Patterns(nu[None], duration="1 s")}, record=nc.Record("r"))
    found = rates(poisson_cell(), "G", nc.Protocol([phase]))[-1] - 10
    W = np.array([[0.5, 1.0, 0.0], [0.5, 0.25, 2.0]]) - np.array([[0.25, 0.5, 0.75], [0.0, 1.0, 0.5]])
    np.testing.assert_allclose(found, 0.02 * W @ nu, rtol=1e-9)
    shown = nc.Patterns(nu[None], duration="20 s")
    sampled = nc.Phase("rest", {"X": shown}, record=nc.Record("r", interval="200 ms"))
    engine = nc.Brian2(dt="1 ms", target="numpy", tolerance=None)
    samples = nc.run(poisson_cell(), nc.Protocol([sampled]), engine, 0, progress=False)["/populations/G"].ds["r"].values
    samples = samples[1:] - 10  # ten time constants apart, so independent
    error = samples.std(axis=0) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - found) < 4 * error).all()


def test_means_and_variances_arrive_synapse_by_synapse() -> None:
    """A transfer function that shows what arrives: sums of w r and w^2 r, both over the same sparse synapses."""
    shows = "r = v_drive*ms + 1000*v_drive_variance*ms : 1"
    cells = {"equations": "dv/dt = -v/(10*ms) : 1 (input)", "threshold": "v > 1", "reset": "v = 0"}
    source = {"equations": "rate = drive*Hz : Hz", "threshold": "rand() < rate*dt", "transfer": "r = drive : 1"}
    circuit = nc.Circuit(
        "moments",
        [nc.Population("X", 30), nc.Population("P", 30, **source), nc.Population("Q", 8, transfer=shows, **cells)],
        [
            nc.Synapses("X", "P", connectivity=nc.OneToOne()),
            nc.Synapses("P", "Q", weights=nc.Uniform(0, 1), connectivity=nc.Probability(0.3)),
        ],
    )
    nu = np.random.default_rng(1).uniform(1, 50, 30)
    phase = nc.Phase("rest", {"X": nc.Patterns(nu[None], duration="1 s")}, record=nc.Record("r"))
    tree = nc.run(circuit, nc.Protocol([phase]), nc.SteadyState(), 4, progress=False)
    W = weights(tree, "P_to_Q")
    assert 0.1 < (W > 0).mean() < 0.5
    expected = 1e-3 * W @ nu + 1000 * 1e-3 * W**2 @ nu
    np.testing.assert_allclose(tree["/populations/Q"].ds["r"].values[-1], expected, rtol=1e-12)
    shown = nc.Protocol([nc.Phase("rest", {"X": nc.Patterns(nu[None], duration="0.1 s")})])
    spiking = nc.run(circuit, shown, nc.Brian2(dt="1 ms", target="numpy", tolerance=None), 4, progress=False)[
        "/synapses/P_to_Q"
    ].ds
    assert set(zip(spiking["post"].values, spiking["pre"].values, strict=True)) == set(zip(*np.nonzero(W), strict=True))


def test_the_rate_form_of_the_rule_holds_the_target() -> None:
    """The plastic network of the same declaration learns with rates until cells fire at the target."""
    circuit = vogels2011.recurrent(
        "brian", 800, 200, in_degree=(160, 40), initial="3.5 nS", eta="0.5 nS", target="3 Hz"
    )
    learn = nc.Phase("learn", duration="1 s", epochs=10, record=nc.Record("r"))
    found = rates(nc.mean_field(circuit, per="population"), protocol=nc.Protocol([learn]))[:, 0]
    assert found[0] > 3.4
    assert found[-1] == pytest.approx(3, abs=0.02)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"transfer": None}, "population 'A' is spiking and has no transfer function, so no mean field"),
        ({"transfer": "r = drift : 1"}, r"Population\('A'\).transfer: 'drift' uses the unknown name 'drift'"),
        ({"transfer": "r = drive*mV : 1"}, r"Population\('A'\).transfer: r = drive\*mV has the unit"),
        ({"threshold": None}, r"Population\('A'\).transfer: the population does not spike"),
    ],
)
def test_transfer_functions_that_do_not_fit_are_refused(change: dict, words: str) -> None:
    settings = {"equations": "rate = drive*Hz : Hz", "threshold": "rand() < rate*dt", "transfer": "r = drive : 1"}
    with pytest.raises(nc.NeurocircuitsError, match=words):
        rates(nc.Circuit("x", [nc.Population("A", 2, **(settings | change))], []), "A")


def test_what_has_no_mean_field_is_refused() -> None:
    circuit = poisson_cell()
    with pytest.raises(nc.ValidationError, match=r"mean_field: per='layer'. Allowed: 'cell', 'population'"):
        nc.mean_field(circuit, per="layer")
    with pytest.raises(nc.ValidationError, match=r"Synapses\('A_to_G'\).weights: Given weights may differ"):
        nc.mean_field(circuit, per="population")
    short = nc.Synapses("A", "G", name="short", short_term=nc.TsodyksMarkram(0.5, "100 ms"))
    depressing = nc.Circuit("short", circuit.populations, [short])
    with pytest.raises(nc.ValidationError, match=r"Synapses\('short'\).short_term: .* no mean field"):
        nc.mean_field(depressing)
    with pytest.raises(nc.ValidationError, match=r"Population\('A'\).transfer: it spikes and has no transfer function"):
        nc.mean_field(nc.Circuit("x", [nc.Population("A", 1, "rate = 5*Hz : Hz", threshold="rand() < rate*dt")], []))


def test_rates_follow_the_same_equations_in_continuous_time() -> None:
    """Brian 2 runs the mean field in NumPy and comes to rest where the steady-state engine says; it compiles none."""
    mean = nc.mean_field(brunel2000.panel("C"), per="population")
    phase = nc.Phase("rest", duration="0.4 s", record=nc.Record("r"))
    tree = nc.run(mean, nc.Protocol([phase]), nc.Brian2(dt="1 ms", tolerance=None), 0, progress=False)
    assert tree["/populations/E"].ds["r"].values[-1, 0] == pytest.approx(brunel2000.predicted_rate(), rel=1e-4)
    with pytest.raises(nc.UnsupportedError, match="'E' calls lif_rate, which Brian 2 has in NumPy only"):
        nc.run(mean, nc.Protocol([phase]), nc.Brian2(dt="1 ms", target="cython"), 0, progress=False)


def test_matrices_that_cannot_fit_are_refused_with_the_numbers() -> None:
    """240 000 cells one by one: 200 000 x 200 000 weights, their squares and a mask are 912 GiB in all pathways."""
    circuit = vogels2011.recurrent("brian", 200_000, 40_000, in_degree=(800, 200))
    words = r"need about 912.0 GiB of memory, the largest is 'E_to_E' of 200000 x 200000, .* per='population'"
    with pytest.raises(nc.UnsupportedError, match=words):
        rates(circuit)


@pytest.mark.parametrize(("start", "end"), [("20 mV", 2.0), (nc.Constant(0.02), 2.0), ("-20 mV", -2.0)])
def test_the_state_at_the_start_decides_between_steady_states(start: object, end: float) -> None:
    """tau x' = 2 tanh(k x) - x has two stable points, near 2 and -2; initial values have units or are drawn."""
    text = "dx/dt = (2*mV*tanh(drive + 4*x/mV) - x)/(5*ms) : volt\nr = rectify(x/mV) : 1\nshown = x/mV : 1"
    cells = nc.Population("A", 2, text, initial={"x": start})
    phase = nc.Phase("rest", duration="1 s", record=nc.Record("shown"))
    tree = nc.run(nc.Circuit("two", [cells], [nc.Synapses("A", "A", 1e-6)]), nc.Protocol([phase]), nc.SteadyState(), 0)
    np.testing.assert_allclose(tree["/populations/A"].ds["shown"].values[-1], end, rtol=1e-4)
