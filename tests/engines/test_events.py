"""Synapses that transmit spikes: what they deliver, how they learn, spike by spike, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits.engines.brian2_events import refractory_text
from neurocircuits.simulation import run
from tests.references.spiking import lif, trains, vogels_weights

DT, TAU, ETA, ALPHA = 1e-4, 0.02, 1e-3, 0.25
COMPILED_TOO = pytest.param("cpp_standalone", marks=[pytest.mark.standalone, pytest.mark.slow])


def told(
    fired: dict[str, np.ndarray],
    rule: nc.Rule | None,
    weights: object = 1.0,
    device: str = "runtime",
    record: nc.Record | None = None,
    plasticity: object = True,
    method: str = "euler",
    **synapses: object,
) -> xr.DataTree:
    """Run a pathway from cells I to cells E that fire when they are told to, one presentation for each time step."""
    n = {name: spikes.shape[1] for name, spikes in fired.items()}
    conductance = "dg/dt = -g/(10*ms) : 1 (input, inhibitory)"
    circuit = nc.Circuit(
        "told",
        [
            *(nc.Population(f"tell_{name}", n[name]) for name in n),
            nc.Population("I", n["I"], "r = drive : 1", sign="inhibitory", threshold="drive > 0.5"),
            nc.Population("E", n["E"], conductance, threshold="drive > 0.5"),
        ],
        [
            *(nc.Synapses(f"tell_{name}", name, connectivity=nc.OneToOne()) for name in n),
            nc.Synapses("I", "E", weights=weights, rule=rule, **synapses),
        ],
    )
    shown = {f"tell_{name}": nc.Patterns(spikes.astype(float), duration=DT) for name, spikes in fired.items()}
    phase = nc.Phase("told", shown, plasticity=plasticity, record=record)
    return run(circuit, nc.Protocol([phase]), engine=nc.Brian2(dt=DT, device=device, method=method))


def learned(tree: xr.DataTree) -> np.ndarray:
    """Return the weights at the end, one for each synapse."""
    return tree["/synapses/I_to_E"].ds["w"].values[-1]


@pytest.mark.parametrize("device", ["runtime", COMPILED_TOO])
def test_an_isolated_pair_changes_the_weight_as_derived(device: str) -> None:
    """Rejects an asymmetric window, a trace that misses a coincidence, and a depression that is not constant."""
    lags = np.array([-600, -271, -100, -31, -10, -1, 0, 1, 17, 150, 430, 800])  # of the postsynaptic spike, in steps
    fired = {name: np.zeros((1700, len(lags) + 2), dtype=bool) for name in ("I", "E")}
    fired["I"][850, : len(lags)] = True
    fired["E"][850 + lags, np.arange(len(lags))] = True
    fired["I"][850, -2] = fired["E"][850, -1] = True  # one spike alone
    tree = told(fired, nc.Vogels(ETA, "6.25 Hz", TAU), device=device, connectivity=nc.OneToOne())
    expected = [*(ETA * (np.exp(-np.abs(lags) * DT / TAU) - ALPHA)), -ETA * ALPHA, 0.0]
    np.testing.assert_allclose(learned(tree) - 1, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("device", "delay"),
    [("runtime", 0), ("runtime", 8), pytest.param(*COMPILED_TOO.values, 8, marks=COMPILED_TOO.marks)],
)
def test_every_synapse_learns_as_in_a_plain_loop(device: str, delay: int) -> None:
    """Rejects an update of another cell's synapses, a trace read at emission, and weights that leave their bounds."""
    fired = {"I": trains(np.full(30, 40.0), 2000, DT, 1), "E": trains(np.full(20, 30.0), 2000, DT, 2)}
    start = np.random.default_rng(3).uniform(0, 0.004, (20, 30))
    tree = told(
        fired,
        nc.Vogels(ETA, "12.5 Hz", TAU),
        start,
        device,
        connectivity=nc.Probability(0.3),
        bounds=(0, 0.004),
        delay=delay * DT,
    )
    found = tree["/synapses/I_to_E"].ds
    post, pre = found["post"].values, found["pre"].values
    settings = {"eta": ETA, "alpha": 0.5, "tau": TAU, "dt": DT}
    expected = vogels_weights(start[post, pre], post, pre, (fired["I"], fired["E"]), delay, settings, 0.004)
    assert (expected == 0.004).any()
    np.testing.assert_allclose(learned(tree), expected, rtol=0, atol=1e-12)


def test_pair_stdp_has_its_window() -> None:
    """Rejects swapped signs or time constants."""
    lags = np.array([-200, -60, 40, 300])
    fired = {name: np.zeros((900, 4), dtype=bool) for name in ("I", "E")}
    fired["I"][450], fired["E"][450 + lags, np.arange(4)] = True, True
    tree = told(fired, nc.PairSTDP(0.01, 0.012, "17 ms", "34 ms"), connectivity=nc.OneToOne())
    expected = np.where(lags > 0, 0.01 * np.exp(-lags * DT / 0.017), -0.012 * np.exp(lags * DT / 0.034))
    np.testing.assert_allclose(learned(tree) - 1, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["exponential_euler", "rk2", "rk4"])
def test_traces_decay_exactly_whatever_the_method(method: str) -> None:
    """Rejects a window that depends on how the cells are integrated."""
    fired = {name: np.zeros((400, 1), dtype=bool) for name in ("I", "E")}
    fired["I"][50], fired["E"][350] = True, True
    tree = told(fired, nc.Vogels(ETA, "0 Hz", TAU), method=method)
    np.testing.assert_allclose(learned(tree) - 1, ETA * np.exp(-300 * DT / TAU), rtol=0, atol=1e-12)


def test_what_a_spike_sends_never_turns_its_sign() -> None:
    """Rejects short-term plasticity, written as text, by which an inhibitory spike excites."""
    fired = {"I": np.zeros((40, 1), dtype=bool), "E": np.zeros((40, 1), dtype=bool)}
    fired["I"][[5, 20]] = True
    turning = nc.ShortTerm({"x": (1.0, "10 s")}, "x", after={"x": "x - 1.5"})
    tree = told(fired, None, 1.0, record=nc.Record("g", populations=("E",)), short_term=turning)
    g = tree["/populations/E"].ds["g"].values[:, 0]
    assert g.max() == pytest.approx(1.0)
    np.testing.assert_allclose(g[21:], g[5] * (1 - DT / 0.01) ** np.arange(16, 35))  # the second spike sends nothing


def test_random_numbers_of_a_reset_follow_the_seed() -> None:
    """Rejects random numbers that are drawn from whatever the caller's generator holds."""
    cells = nc.Population(
        "E", 5, "dv/dt = 1/tau : 1", parameters={"tau": "5 ms"}, threshold="v > 1", reset="v = rand()  # anywhere"
    )
    protocol = nc.Protocol([nc.Phase("run", duration="50 ms", record=nc.Record("v"))])
    found = []
    for seed in (0, 0, 1):
        tree = run(nc.Circuit("c", [cells], []), protocol, engine=nc.Brian2(dt="0.1 ms"), seed=seed)
        found.append(tree["/populations/E"].ds["v"].values)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_weights_stay_to_the_bit_without_plasticity_or_input() -> None:
    """Rejects a change at scale 0, of static pathways, or without presynaptic spikes."""
    start = np.random.default_rng(3).random((5, 6))
    fired = {"I": trains(np.full(6, 200.0), 500, DT, 1), "E": trains(np.full(5, 200.0), 500, DT, 2)}
    rule = nc.Vogels(ETA, "5 Hz")
    assert np.array_equal(learned(told(fired, rule, start, plasticity=False)), start.T.ravel())
    assert np.array_equal(learned(told({**fired, "I": np.zeros((500, 6), bool)}, rule, start)), start.T.ravel())
    assert not np.array_equal(learned(told(fired, rule, start)), start.T.ravel())
    half = learned(told(fired, rule, start, plasticity={"I_to_E": 0.5})) - start.T.ravel()
    np.testing.assert_allclose(2 * half, learned(told(fired, rule, start)) - start.T.ravel(), atol=1e-14)


@pytest.mark.parametrize("facilitation", [None, 0.3])
def test_short_term_plasticity_is_the_published_recursion(facilitation: float | None) -> None:
    """Rejects recovery during the spike, and depletion by the value before facilitation."""
    steps = np.array([10, 210, 310, 330, 1500])
    fired = {"I": np.zeros((2000, 1), dtype=bool), "E": np.zeros((2000, 1), dtype=bool)}
    fired["I"][steps] = True
    short = nc.TsodyksMarkram(0.4, 0.2, facilitation)
    tree = told(fired, None, 2.0, short_term=short, record=nc.Record("g", populations=("E",)))
    u, x, last, g, expected = 0.4 if facilitation is None else 0.0, 1.0, 0, 0.0, []
    for step in range(2000):
        g -= g * DT / 0.01
        if fired["I"][step, 0]:
            gap = (step - last) * DT
            x = 1 - (1 - x) * np.exp(-gap / 0.2)
            if facilitation is not None:
                u = u * np.exp(-gap / facilitation)
                u = u + 0.4 * (1 - u)
            g, x, last = g + 2 * u * x, x * (1 - u), step
        expected.append(g)
    np.testing.assert_allclose(tree["/populations/E"].ds["g"].values[:, 0], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("device", ["runtime", COMPILED_TOO])
def test_a_recurrent_network_spikes_as_a_plain_loop_does(device: str) -> None:
    """Rejects a delay that is off by a step, arrivals at the wrong cells, and a refractoriness that ends late."""
    n, rng = 40, np.random.default_rng(5)
    drive, w = rng.uniform(10, 25, n) * 1e-3, 0.6
    cells = nc.Population(
        "I",
        n,
        """dv/dt = (rest - v + current - g*(v - reversal))/tau : volt (unless refractory)
        dg/dt = -g/tau_g : 1 (input, inhibitory)
        current = drive*volt : volt""",
        sign="inhibitory",
        threshold="v > v_threshold",
        reset="v = rest",
        refractory="5 ms",
        parameters={
            "rest": "-60 mV", "reversal": "-80 mV", "v_threshold": "-50 mV", "tau": "20 ms", "tau_g": "10 ms",
        },
        initial={"v": "-60 mV"},
    )  # fmt: skip
    circuit = nc.Circuit(
        "loop",
        [nc.Population("S", n), cells],
        [
            nc.Synapses("S", "I", connectivity=nc.OneToOne()),
            nc.Synapses("I", "I", weights=w, connectivity=nc.FixedInDegree(6), delay="0.8 ms"),
        ],
    )
    phase = nc.Phase("run", {"S": nc.Patterns(drive[None], duration=0.5)}, record=nc.Record("v", spikes=True))
    tree = run(circuit, nc.Protocol([phase]), engine=nc.Brian2(dt=DT, device=device))
    synapses = tree["/synapses/I_to_I"].ds
    post, pre = synapses["post"].values, synapses["pre"].values
    assert set(np.bincount(post)) == {6}
    settings = {"dt": DT, "delay": 8e-4, "rest": -0.06, "reversal": -0.08, "tau": 0.02, "tau_g": 0.01}
    spikes, v = lif(
        drive, (post, pre), np.full(len(pre), w), 5000, {**settings, "threshold": -0.05, "refractory": 5e-3}
    )
    found = tree["/spikes/I"].ds
    steps = np.rint(found["time"].values / DT).astype(int)
    assert len(spikes) > 200
    assert sorted(zip(steps, found["unit"].values, strict=True)) == spikes
    np.testing.assert_allclose(tree["/populations/I"].ds["v"].values[-1], v, rtol=1e-10)


@pytest.mark.parametrize("dt", [1e-4, 3e-5, 2.5e-4])
def test_refractoriness_ends_at_the_time_step_at_which_brian_2_ends_it(dt: float) -> None:
    """Rejects an end that is a step off, for times that are no multiple of the time step, late in a long run, too."""
    from brian2.core.functions import timestep

    for seconds in (0.0, 0.4 * dt, dt, 2.5 * dt, 5e-3, 0.0123):
        condition = refractory_text(seconds, dt)
        for last in (0, 7, 10**9 + 3):
            now = (last + np.arange(1, 700)) * dt
            stays = eval(condition, {"t": now, "lastspike": last * dt, "second": 1.0})
            assert np.array_equal(stays, timestep(now - last * dt, dt) < timestep(seconds, dt))


def test_the_mean_drift_under_poisson_trains_is_the_derived_one() -> None:
    """Rejects a target that is off, and drift where rate and target agree: 4 standard errors."""
    n, seconds, nu_pre, target, rates = 1000, 10, 20.0, 5.0, (5.0, 9.0, 2.0)
    poisson = {"equations": "r = 1 : 1", "threshold": "rand() < nu*dt"}
    fed = {**poisson, "equations": "dg/dt = -g/(5*ms) : 1 (input)"}
    sources = nc.Population("I", n, sign="inhibitory", parameters={"nu": f"{nu_pre} Hz"}, **poisson)  # type: ignore[arg-type]
    targets = [nc.Population(f"E{k}", n, parameters={"nu": f"{nu} Hz"}, **fed) for k, nu in enumerate(rates)]  # type: ignore[arg-type]
    rule = nc.Vogels(ETA, f"{target} Hz")
    pathways = [nc.Synapses("I", p.name, weights=10.0, connectivity=nc.OneToOne(), rule=rule) for p in targets]
    circuit = nc.Circuit("drift", [sources, *targets], pathways)
    tree = run(circuit, nc.Protocol([nc.Phase("run", duration=seconds)]), engine=nc.Brian2(dt="1 ms"), seed=3)
    for k, nu_post in enumerate(rates):
        change = (tree[f"/synapses/I_to_E{k}"].ds["w"].values[-1] - 10) / seconds
        expected, error = 2 * ETA * 0.02 * nu_pre * (nu_post - target), change.std() / np.sqrt(n)
        assert abs(change.mean() - expected) < 4 * error
        assert error < 0.1 * 2 * ETA * 0.02 * nu_pre
