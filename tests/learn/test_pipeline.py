"""Layer upon layer as a pipeline: two layers of competing units and the papers' top layer, searched and cloned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer

pytest.importorskip("torch", reason="torch is not installed; get it with: pip install 'neurocircuits[torch]'")

from neurocircuits.learn import CompetingHiddenUnits
from neurocircuits.readout import PowerClassifier

pytestmark = pytest.mark.filterwarnings("ignore::neurocircuits.learn.CollapseWarning")

GRID = {"features__k": [2, 7], "features__delta": np.array([0.2]), "classes__n": [1.0, 3.0]}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return x[:400] / 16, y[:400]


def one_layer(memory: Any = None, **settings: Any) -> Pipeline:
    features = CompetingHiddenUnits(**{"n_hidden": 30, "k": 2, "epochs": 4, "random_state": 0, **settings})
    classes = PowerClassifier(n=2.0, m=4.0, epochs=8, batch=20, rates=((0.0, 0.01),), random_state=0)
    return Pipeline([("features", features), ("classes", classes)], memory=memory)


def test_a_search_finds_what_the_folds_say_one_by_one(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """Rejects clones that share what they learned or lose a setting, and a fit that depends on what was fitted before."""
    x, y = digits
    pipeline, folds = one_layer(), KFold(2)
    search = GridSearchCV(pipeline, GRID, cv=folds, error_score="raise").fit(x, y)
    for k in (0, 3):
        settings = search.cv_results_["params"][k]
        alone = cross_val_score(clone(pipeline).set_params(**settings), x, y, cv=folds)
        assert search.cv_results_["mean_test_score"][k] == pytest.approx(alone.mean(), abs=1e-12)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max() > 0.4
    again = clone(search.best_estimator_).fit(x, y)
    np.testing.assert_array_equal(again["features"].components_, search.best_estimator_["features"].components_)
    np.testing.assert_array_equal(again.predict(x), search.predict(x))
    assert not hasattr(pipeline["features"], "components_") and not hasattr(pipeline["classes"], "parameters_")
    assert pipeline["features"].get_params()["delta"] == 0.4  # the search sets clones


def test_a_search_on_two_threads_is_the_same(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """Rejects global state that one fit leaves to another at the same time."""
    grid = {"features__k": [2, 7]}
    one = GridSearchCV(one_layer(), grid, cv=KFold(2), error_score="raise").fit(*digits)
    with joblib.parallel_config("threading", n_jobs=2):
        two = GridSearchCV(one_layer(), grid, cv=KFold(2), error_score="raise").fit(*digits)
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


def test_two_layers_are_each_layer_by_hand(digits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    """Also from a pipeline's memory, which keeps the first layer. Rejects a second layer that sees other codes."""
    x, y = digits
    first = CompetingHiddenUnits(40, k=2, delta=0.2, epochs=10, power=4.0, random_state=0)
    second = CompetingHiddenUnits(30, k=2, delta=0.2, epochs=10, random_state=1)
    classes = PowerClassifier(n=2.0, m=4.0, epochs=20, rates=((0.0, 0.01),), random_state=0)
    steps = [("first", first), ("scale", Normalizer()), ("second", second), ("classes", classes)]
    pipeline = Pipeline(steps, memory=str(tmp_path)).fit(x, y)
    again = clone(pipeline).set_params(classes__n=3.0).fit(x, y)  # reads both layers from memory
    codes = Normalizer().fit_transform(clone(first).fit_transform(x))
    by_hand = clone(second).fit(codes)
    for one in (pipeline, again):
        np.testing.assert_array_equal(one["second"].components_, by_hand.components_)
    top = clone(classes).fit(by_hand.transform(codes), y)
    np.testing.assert_array_equal(top.predict(by_hand.transform(codes)), pipeline.predict(x))
    assert pipeline["second"].get_feature_names_out().tolist() == [f"competinghiddenunits{k}" for k in range(30)]
    assert 0.3 < pipeline.score(x, y) < 1.0 and not np.array_equal(again.predict(x), pipeline.predict(x))
