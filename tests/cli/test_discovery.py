"""What is listed is what the folders hold; a new module is found because it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurocircuits.cli import catalogue

ROOT = Path(__file__).resolve().parents[2]
MODEL = '''
"""A circuit of one synapse.

More about it.
"""

from __future__ import annotations

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant

REFERENCE = "Nobody (2030)"


def circuit(weight: float = 1.0, n_sensory: int = 2) -> Circuit:
    """Return it."""
    cells = Population("E", 1, equations="dr/dt = (drive - r)/tau : 1", parameters={"tau": "5 ms"})
    synapses = Synapses("S", "E", weights=Constant(weight))
    return Circuit("nobody2030", [Population("S", n_sensory), cells], [synapses])


def helper() -> int:
    """Return no circuit."""
    return 1
'''


@pytest.fixture
def new_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a module beside the models for the time of a test."""
    import neurocircuits.models

    (tmp_path / "nobody2030.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.setattr(neurocircuits.models, "__path__", [*neurocircuits.models.__path__, str(tmp_path)])
    return "nobody2030"


@pytest.mark.parametrize("package", ["models", "protocols"])
def test_every_module_is_listed(package: str) -> None:
    # Rejects: a list kept by hand.
    found = getattr(catalogue, package)()
    found |= catalogue.tasks() if package == "protocols" else {}
    assert sorted(found) == sorted(path.stem for path in (ROOT / package).glob("*.py") if path.stem[0] != "_")
    assert all(each for each in found.values())


def test_a_new_module_is_found_and_runs(new_model: str, invoke) -> None:
    assert list(catalogue.models()[new_model]) == ["circuit"]  # not the helper, not what is imported
    assert "Nobody (2030)" in invoke("list")
    assert "More about it." in invoke("show", new_model)
    assert "1 weights" not in invoke(
        "run", new_model, "features", "--set", "protocol.n_learn=10", "--set", "protocol.n_probe=5"
    )


def test_list_says_what_there_is_and_in_what_state(invoke, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NEUROCIRCUITS_DATA", raising=False)
    text = invoke("list")
    for expected in (
        "models",
        "seung2018",
        ".bars",
        "protocols",
        "features",
        "engines",
        "steady-state",
        "brian2",
        "digits",
    ):
        assert expected in text
    assert "not on this machine" in next(line for line in text.splitlines() if line.strip().startswith("mnist"))


def test_show_explains_and_names_the_source(invoke) -> None:
    text = invoke("show", "seung2018.bars", "--set", "n_excitatory=7")
    for expected in (
        "arXiv:1812.11581",
        "population E: 7 units",
        "log_gain",
        "the transpose of E_to_I",
        "n_inhibitory",
    ):
        assert expected in text


def test_show_writes_latex(invoke) -> None:
    assert r"\frac" in invoke("show", "seung2018", "--latex")


def test_figures_name_the_data_that_their_full_setting_loads() -> None:
    # Rejects: a data set that is needed by default, a name that no loader has, and MNIST where it is forgotten.
    from neurocircuits.reproduce import figures

    needed = {name: set(figure.needs) for name, figure in figures().items()}
    assert set().union(*needed.values()) <= set(catalogue.stored()) - set(catalogue.EMBEDDED)
    for name, needs in needed.items():
        text = (ROOT / "figures" / f"{name}.py").read_text(encoding="utf-8")
        assert ("mnist" in needs) == ('"mnist"' in text or "datasets.mnist(" in text or "krotov2019_mnist import" in text
                                      or "import krotov2019_mnist" in text), name  # fmt: skip


def test_what_needs_no_file_comes_with_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Rejects: a data set that is never downloaded and is taken for one that comes with the package.
    from neurocircuits.errors import DataError

    monkeypatch.setenv("NEUROCIRCUITS_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, factory in catalogue.stored().items():
        if name in catalogue.EMBEDDED:
            factory.call(**({"n": 2, "rng": 0} if name == "bars" else {}))
            assert not catalogue.from_files(factory)
        else:
            with pytest.raises(DataError):
                catalogue.from_files(factory)
