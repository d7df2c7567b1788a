"""Every figure at its quick setting: its claims hold, they can fail, and drawing computes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neurocircuits import reproduce
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.engines.steady_state import SteadyState

FIGURES = reproduce.figures()
TRAINED = {  # figures with what torch trains
    "costa2017_addition",
    "costa2017_mnist",
    "costa2017_perplexity",
    "costa2017_replay",
    "fast_versus_slow",
    "krotov2019_attacks",
    "krotov2019_candidates",
    "krotov2019_cifar10",
    "krotov2019_features",
    "krotov2019_layers",
    "krotov2019_mnist",
    "krotov2019_power",
    "krotov2019_preprint",
    "zanola2021_training",
}
NEEDED = dict.fromkeys(TRAINED, ("torch",))
EXPECTED = {
    *TRAINED,
    "balance_brunel",
    "balance_currents",
    "balance_gate",
    "balance_mean_field",
    "balance_theory",
    "costa2017_gates",
    "douglas1989_pulse",
    "exchangeable_rules",
    "king2013_inhibition",
    "king2013_structure",
    "foldiak1990_bars",
    "krotov2019_collapse",
    "krotov2019_norms",
    "krotov2019_pipeline",
    "pehlevan2015_whitening",
    "pehlevan2018_convergence",
    "rate_versus_time",
    "relatives_comparison",
    "seung2018_balance",
    "seung2018_convergence",
    "seung2018_decorrelation",
    "seung2018_features",
    "seung2018_game",
    "seung2018_sparsity",
    "topics_corpora",
    "topics_documents",
    "topics_inhibition",
    "topics_map",
    "topics_method",
    "topics_scores",
    "topics_sparsity",
    "topics_words",
    "vogels2011_delays",
    "vogels2011_feedforward",
    "vogels2011_large",
    "vogels2011_memory",
    "vogels2011_recurrent",
    "vogels2011_remapping",
    "vogels2011_rates",
    "vogels2011_window",
    "zanola2021_activity",
    "zanola2021_inhibition",
    "zylberberg2011_code",
}

LONG = {  # compile programs, take many time steps, or fit several models
    "balance_currents",
    "balance_gate",
    "balance_mean_field",
    "costa2017_gates",
    "costa2017_mnist",
    "costa2017_perplexity",
    "costa2017_replay",
    "douglas1989_pulse",
    "exchangeable_rules",
    "king2013_inhibition",
    "king2013_structure",
    "pehlevan2015_whitening",
    "pehlevan2018_convergence",
    "rate_versus_time",
    "relatives_comparison",
    "seung2018_game",
    "topics_corpora",
    "topics_documents",
    "topics_inhibition",
    "topics_map",
    "topics_method",
    "topics_scores",
    "topics_sparsity",
    "topics_words",
    "vogels2011_delays",
    "vogels2011_feedforward",
    "vogels2011_large",
    "vogels2011_memory",
    "vogels2011_recurrent",
    "vogels2011_remapping",
    "vogels2011_rates",
    "vogels2011_window",
    "zylberberg2011_code",
}

pytestmark = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in sorted(FIGURES)]
)


@pytest.fixture(autouse=True)
def needs(name: str) -> None:
    """Skip a figure whose libraries are not installed, and say how to get them."""
    for library in NEEDED.get(name, ()):
        pytest.importorskip(library, reason=f"needs {library}: pip install 'neurocircuits[{library}]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("figures")


def quick(name: str) -> xr.DataTree:
    """What a figure computed; from the cache once the first test of it has run."""
    return reproduce.computed(FIGURES[name], True, 0)


def broken(tree: xr.DataTree) -> xr.DataTree:
    """The same tree with NaN for every number."""
    groups = {node.path: node.to_dataset(inherit=False).map(lambda v: v * np.nan) for node in tree.subtree}
    result = xr.DataTree.from_dict(groups)
    result.attrs = tree.attrs
    return result


def test_claims_hold(name: str, folder: Path) -> None:
    # Rejects: a circuit, rule, engine or measure that no longer shows what the publication says.
    content = reproduce.regenerate(name, folder, quick=True)
    failed = [
        (c["name"], c["value"], c["relation"], c["target"], c["tolerance"]) for c in content["claims"] if not c["holds"]
    ]
    assert not failed
    assert content["holds"] and content["claims"]
    written = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert written["figure"] == name and written["setting"] == "quick" and written["seeds"] == [0]
    assert [c["name"] for c in written["claims"]] == [c["name"] for c in content["claims"]]
    picture = (folder / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


def test_every_claim_fails_on_numbers_that_are_none(name: str) -> None:
    # Rejects: a claim that nothing can break, such as a comparison written so that NaN passes.
    nothing = broken(quick(name))
    passed = [c.name for c in FIGURES[name].claims if "quick" in c.when and reproduce.judge(c, [nothing])["holds"]]
    assert not passed


def test_drawing_computes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Rejects: a draw that runs a circuit, whose picture then shows other numbers than its claims were judged on.
    trees = [quick(name)]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("draw opened a simulation")

    for engine in (SteadyState, Brian2):
        monkeypatch.setattr(engine, "open", refuse)
    picture = FIGURES[name].draw(trees)
    assert picture.axes and all(ax.has_data() for ax in picture.axes if ax.get_label() != "<colorbar>")


def test_declaration(name: str) -> None:
    figure = FIGURES[name]
    assert set(FIGURES) >= EXPECTED
    assert figure.name == name and figure.title and figure.source
    names = [claim.name for claim in figure.claims]
    assert len(set(names)) == len(names)
    assert all(claim.source and claim.text.endswith(".") for claim in figure.claims)
    assert any("quick" in claim.when for claim in figure.claims) and any(
        "full" in claim.when for claim in figure.claims
    )
