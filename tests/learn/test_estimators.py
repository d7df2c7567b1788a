"""Both transformers as scikit-learn sees them: its own checks, pipelines, grid searches, copies and bad input."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import neurocircuits as nc
from neurocircuits.learn import CompetingHiddenUnits, DisynapticFeatures

pytestmark = pytest.mark.filterwarnings("ignore::neurocircuits.learn.CollapseWarning")

SMALL = {
    "competing": CompetingHiddenUnits(n_hidden=6, k=3, epochs=2, batch=20, random_state=0),
    "disynaptic": DisynapticFeatures(n_excitatory=5, n_inhibitory=2, n_minibatches=5, batch=20, random_state=0),
}
BOTH = pytest.mark.parametrize("name", SMALL)


def images(n: int = 60, n_features: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n_features)) ** 2


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, ...]:
    x, y = load_digits(return_X_y=True)
    return tuple(train_test_split(x, y, random_state=0, stratify=y))


def classifier(features: Any) -> Any:
    return make_pipeline(features, MaxAbsScaler(), LogisticRegression(max_iter=2000))


# --- what scikit-learn expects of any transformer


@parametrize_with_checks([clone(estimator).set_params(random_state=None) for estimator in SMALL.values()])
def test_checks_of_scikit_learn(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


@BOTH
def test_clones_learn_the_same_and_hold_nothing_that_was_learned(name: str) -> None:
    estimator = clone(SMALL[name]).fit(images())
    copy = clone(estimator)
    assert not hasattr(copy, "components_")
    np.testing.assert_array_equal(copy.fit(images()).components_, estimator.components_)


@BOTH
def test_what_is_pickled_transforms_as_before(name: str) -> None:
    estimator = clone(SMALL[name]).fit(images())
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.transform(images(9)), estimator.transform(images(9)))
    assert again.tree_.attrs["content_hash"] == estimator.tree_.attrs["content_hash"]


@BOTH
def test_features_have_names(name: str) -> None:
    estimator = clone(SMALL[name]).fit(images())
    n_units = len(estimator.components_)
    prefix = type(estimator).__name__.lower()
    assert estimator.get_feature_names_out().tolist() == [f"{prefix}{k}" for k in range(n_units)]


@BOTH
def test_output_in_pandas(name: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(images(), columns=[f"pixel{k}" for k in range(12)])
    estimator = clone(SMALL[name]).set_output(transform="pandas")
    features = estimator.fit_transform(frame)
    assert isinstance(features, pandas.DataFrame)
    assert features.columns.tolist() == estimator.get_feature_names_out().tolist()
    assert estimator.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_array_equal(features.to_numpy(), clone(SMALL[name]).fit(images()).transform(images()))


# --- seeds


@BOTH
def test_equal_seeds_give_equal_features_and_others_do_not(name: str) -> None:
    x, estimator = images(), SMALL[name]
    first = clone(estimator).fit(x).components_
    np.testing.assert_array_equal(clone(estimator).fit(x).components_, first)
    assert not np.array_equal(clone(estimator).set_params(random_state=1).fit(x).components_, first)


@BOTH
def test_kinds_of_random_state(name: str) -> None:
    """A generator gives another seed at each fit; None takes NumPy's own; a number is the seed of the run."""
    x = images()
    generator = np.random.RandomState(3)
    estimator = clone(SMALL[name]).set_params(random_state=generator)
    estimator.random_state = generator  # clones copy it
    assert not np.array_equal(estimator.fit(x).components_, estimator.fit(x).components_)
    drawn = []
    for _ in range(2):
        np.random.seed(5)  # noqa: NPY002
        drawn.append(clone(SMALL[name]).set_params(random_state=None).fit(x).components_)
    np.testing.assert_array_equal(*drawn)
    assert clone(SMALL[name]).set_params(random_state=np.int64(4)).fit(x).tree_.attrs["seed"] == 4


# --- pipelines on digits


@pytest.mark.parametrize(
    ("features", "least"),
    [
        (CompetingHiddenUnits(delta=0.2, epochs=30, random_state=0), 0.92),
        (DisynapticFeatures(32, 8, kappa=0.05, n_minibatches=300, eta_excitatory="0.1 Hz", random_state=0), 0.85),
    ],
    ids=["competing", "disynaptic"],
)
def test_digits_in_a_pipeline(features: Any, least: float, digits: tuple[np.ndarray, ...]) -> None:
    """Rejects features without information: chance is 0.1, a linear reader of the pixels reaches 0.96."""
    train, test, y_train, y_test = digits
    pipeline = classifier(features).fit(train, y_train)
    assert pipeline.score(test, y_test) > least
    again = clone(pipeline).fit(train, y_train)
    np.testing.assert_array_equal(again.predict_proba(test), pipeline.predict_proba(test))
    other = clone(pipeline).set_params(**{f"{type(features).__name__.lower()}__random_state": 1}).fit(train, y_train)
    assert not np.array_equal(other.predict_proba(test), pipeline.predict_proba(test))


@pytest.mark.parametrize(
    ("features", "grid"),
    [
        (CompetingHiddenUnits(60, epochs=5, random_state=0), {"k": np.array([2, 7]), "power": [1.0, 2.0]}),
        (DisynapticFeatures(8, 4, n_minibatches=20, random_state=0), {"n_excitatory": [1, 16]}),
    ],
    ids=["competing", "disynaptic"],
)
def test_grid_search(features: Any, grid: dict[str, Any], digits: tuple[np.ndarray, ...]) -> None:
    """Numbers of a grid are NumPy's; 16 cells are better than one."""
    train, test, y_train, y_test = digits
    prefix = type(features).__name__.lower()
    named = {f"{prefix}__{key}": values for key, values in grid.items()}
    search = GridSearchCV(classifier(features), named, cv=3, error_score="raise").fit(train[:600], y_train[:600])
    assert search.score(test, y_test) > 0.6
    if "n_excitatory" in grid:
        assert search.best_params_ == {f"{prefix}__n_excitatory": 16}


def test_a_second_layer_learns_from_the_codes_of_the_first(digits: tuple[np.ndarray, ...]) -> None:
    train, test, y_train, y_test = digits
    first = CompetingHiddenUnits(100, delta=0.2, epochs=10, random_state=0)
    layers = make_pipeline(first, CompetingHiddenUnits(60, k=2, delta=0.1, epochs=10, random_state=1))
    pipeline = classifier(layers).fit(train, y_train)
    assert pipeline.score(test, y_test) > 0.8
    codes = clone(first).fit_transform(train)
    alone = clone(layers[1]).fit(codes)
    np.testing.assert_array_equal(alone.components_, pipeline[0][1].components_)
    cells = make_pipeline(clone(first), DisynapticFeatures(12, 4, n_minibatches=30, random_state=0))
    assert cells.fit_transform(train).shape == (len(train), 12)


# --- images


@BOTH
def test_sparse_images_are_the_dense_ones(name: str) -> None:
    x = images()
    x[x < 0.3] = 0.0
    dense, sparse = clone(SMALL[name]).fit(x), clone(SMALL[name]).fit(csr_array(x))
    np.testing.assert_allclose(sparse.components_, dense.components_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(dense.transform(csr_array(x)), dense.transform(x), rtol=1e-10, atol=1e-12)


@BOTH
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "bool", "object"])
def test_types_of_images(name: str, dtype: str) -> None:
    """Bytes stay bytes in memory and are squared and summed as numbers."""
    x = (images() * (1 if dtype == "bool" else 255)).round()
    expected = clone(SMALL[name]).fit(x)
    estimator = clone(SMALL[name]).fit(x.astype(dtype))
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 0, "atol": 0}  # scaled in that precision
    np.testing.assert_allclose(estimator.components_, expected.components_, **close)
    np.testing.assert_allclose(estimator.transform(x.astype(dtype)), expected.transform(x), **close)


@BOTH
def test_fewer_images_than_a_batch(name: str) -> None:
    """One batch of all there are; rejects a batch that is dropped or filled up."""
    x, estimator = images(3), clone(SMALL[name])
    small = clone(estimator).set_params(batch=3).fit(x)
    np.testing.assert_array_equal(estimator.fit(x).components_, small.components_)
    assert clone(estimator).fit(x[:1]).transform(x).shape == (3, len(estimator.components_))


@BOTH
def test_images_are_left_alone(name: str) -> None:
    x = images()
    before = x.copy()
    estimator = clone(SMALL[name]).fit(x)
    estimator.transform(x)[...] = -1.0
    np.testing.assert_array_equal(x, before)
    x[...] = 0.0
    np.testing.assert_array_equal(estimator.transform(before), clone(SMALL[name]).fit(before).transform(before))


BAD_IMAGES = {
    "NaN": (np.where(np.arange(12) == 3, np.nan, images()), "contains NaN"),
    "infinite": (np.where(np.arange(12) == 3, np.inf, images()), "contains infinity"),
    "negative": (images() - 0.5, "Negative values in data"),
    "one image without its axis": (images()[0], "Expected 2D array"),
    "no image": (images()[:0], "0 sample"),
    "text": (np.full((5, 12), "grey"), "could not convert|string"),
    "complex": (images() + 1j, "Complex data"),
}


@BOTH
@pytest.mark.parametrize("case", BAD_IMAGES)
def test_bad_images_are_refused(name: str, case: str) -> None:
    bad, words = BAD_IMAGES[case]
    estimator = clone(SMALL[name]).fit(images())
    for method in (clone(estimator).fit, estimator.transform):
        with pytest.raises(ValueError, match=words):
            method(bad)


@BOTH
def test_images_of_another_size_are_refused(name: str) -> None:
    estimator = clone(SMALL[name]).fit(images())
    with pytest.raises(ValueError, match="11 features, but .* expecting 12"):
        estimator.transform(images(n_features=11))


BAD_SETTINGS = [
    ("competing", {"k": 7}, "k = 7 and n_hidden = 6"),
    ("competing", {"n_hidden": 1, "k": 2}, "k = 2 and n_hidden = 1"),
    ("competing", {"k": 1}, "k: 1 is not a whole number of at least 2"),
    ("competing", {"n_hidden": 2.5}, "n_hidden: 2.5"),
    ("competing", {"n_hidden": "many"}, "n_hidden: 'many'"),
    ("competing", {"p": 1.5}, "p: 1.5 is not a finite number of at least 2"),
    ("competing", {"delta": -0.1}, "delta: -0.1"),
    ("competing", {"epochs": 0}, "epochs: 0"),
    ("competing", {"batch": True}, "batch: True"),
    ("competing", {"step": 0.0}, "step: 0.0 is not a finite positive number"),
    ("competing", {"power": -1}, "power: -1"),
    ("competing", {"power": np.nan}, "power: nan"),
    (
        "competing",
        {"initial": np.ones((6, 11))},
        r"initial: shape \(6, 11\) is not \(n_hidden, n_features\) = \(6, 12\)",
    ),
    ("competing", {"initial": "ones"}, "initial: str is not an array of numbers"),
    ("competing", {"initial": np.full((6, 12), np.nan)}, "not finite"),
    ("competing", {"dtype": "float16"}, "dtype: 'float16'"),
    ("competing", {"random_state": -1}, "random_state: -1"),
    ("competing", {"random_state": "seed"}, "cannot be used to seed"),
    ("disynaptic", {"n_excitatory": 0}, "n_excitatory: 0"),
    ("disynaptic", {"n_inhibitory": -1}, "n_inhibitory: -1"),
    ("disynaptic", {"n_minibatches": 0}, "n_minibatches: 0"),
    ("disynaptic", {"q": 0.0}, "q: 0.0"),
    ("disynaptic", {"kappa": -1.0}, "kappa: -1.0"),
    ("disynaptic", {"gain_floor": 2.0}, "gain_floor 2.0"),
    ("disynaptic", {"eta_gain": "5 m"}, "eta"),
    ("disynaptic", {"initial_excitatory": -1.0}, "initial_excitatory: -1.0"),
]


@pytest.mark.parametrize(("name", "settings", "words"), BAD_SETTINGS, ids=[f"{c[0]}-{c[1]}"[:60] for c in BAD_SETTINGS])
def test_bad_settings_are_refused_on_fitting(name: str, settings: dict[str, Any], words: str) -> None:
    estimator = clone(SMALL[name]).set_params(**settings)
    with pytest.raises(ValueError, match=words) as caught:
        estimator.fit(images())
    assert isinstance(caught.value, nc.ValidationError) or settings == {"random_state": "seed"}
    assert not hasattr(estimator, "components_")


# --- what fails leaves no trace


@pytest.mark.parametrize(
    ("name", "method"), [("competing", "fit"), ("competing", "partial_fit"), ("disynaptic", "fit")]
)
def test_a_refused_fit_leaves_an_estimator_as_it_was(name: str, method: str) -> None:
    """Rejects one that counts as fitted by what it noted of images before it refused a setting."""
    fresh = clone(SMALL[name]).set_params(batch=-1)
    with pytest.raises(nc.ValidationError, match="batch"):
        getattr(fresh, method)(images())
    with pytest.raises(NotFittedError):
        fresh.transform(images())
    fitted = clone(SMALL[name]).fit(images())
    before = fitted.transform(images())
    with pytest.raises(nc.ValidationError, match="batch"):
        getattr(fitted.set_params(batch=-1), method)(images())
    with pytest.raises(ValueError, match="Negative values"):
        getattr(fitted, method)(-images(n_features=9))
    assert fitted.n_features_in_ == 12
    np.testing.assert_array_equal(fitted.transform(images()), before)


def test_learning_goes_on_after_a_refused_pass() -> None:
    """The simulation that stays open may have gone on before an error."""
    straight, other = (clone(SMALL["competing"]).partial_fit(images()) for _ in range(2))
    with pytest.raises(ValueError, match="features"):
        other.partial_fit(images(n_features=9))
    np.testing.assert_array_equal(
        other.partial_fit(images(seed=1)).components_, straight.partial_fit(images(seed=1)).components_
    )


@pytest.mark.parametrize(("scale", "dtype"), [(1e-60, "float32"), (1e39, "float32"), (1e-304, "float64")])
def test_images_beyond_the_precision_are_refused(scale: float, dtype: str) -> None:
    """Rejects rows that never learn, and currents that overflow."""
    with pytest.raises(nc.ValidationError, match=f"in {dtype} need one between .* Divide the images by it"):
        clone(SMALL["competing"]).set_params(dtype=dtype).fit(scale * images())


def test_seeds_are_not_negative() -> None:
    for estimator in SMALL.values():
        with pytest.raises(nc.ValidationError, match="random_state: -1 is negative"):
            clone(estimator).set_params(random_state=-1).fit(images())
