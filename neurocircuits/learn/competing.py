"""Competing hidden units as a transformer: the fast circuit of Krotov and Hopfield on the steady-state engine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from neurocircuits.analysis.competition import collapse
from neurocircuits.analysis.sphere import converged_fraction
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.declare.checks import numeric_array
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol
from neurocircuits.declare.steps import LargestChange, Linear
from neurocircuits.declare.stimulus import Patterns, Stimulus
from neurocircuits.declare.weights import Given, Weights
from neurocircuits.engines.base import Simulation
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import ValidationError
from neurocircuits.learn._base import (
    CircuitTransformer,
    CollapseWarning,
    present,
    responses,
    seed_of,
    undone_if_it_fails,
)
from neurocircuits.learn._products import rectified_products
from neurocircuits.models import krotov2019
from neurocircuits.randomness import Streams
from neurocircuits.simulation import run

_PATHWAY = "S_to_E"
_LOOKED_AT = 2000  # images by which a layer is judged after it was fitted
_WINS_ALL = 0.9
_SILENT = 0.5
_ROOM = 1e8  # between images and the smallest and largest numbers, for sums and products of currents


class CompetingHiddenUnits(CircuitTransformer):
    """Learn features without labels, by a local rule and competition between hidden units.

    The unit with the largest current is drawn towards an image, the one of rank ``k`` is pushed away from it. Rows of
    weights tend to the sphere ``sum |w|**p = 1``. The circuit is `neurocircuits.models.krotov2019.circuit`.

    Parameters
    ----------
    n_hidden : int
        Number of hidden units.
    p : float
        Exponent of the norm, at least 2.
    k : int
        Rank of the unit that is pushed away, from 2 to ``n_hidden``.
    delta : float
        How strongly it is pushed away.
    epochs : int
        How often `fit` goes through the images.
    batch : int
        Images in a minibatch; an epoch ends with a smaller one if their number is no multiple of it, which takes a step
        of the same size.
    step : float
        Largest change of a weight in a minibatch. In `fit` it falls linearly to 0 over the epochs, constant within
        each; in `partial_fit` it is constant.
    initial : array_like, shape (n_hidden, n_features), or Weights, optional
        Initial weights, such as ``neurocircuits.Normal(0.0, 10.0)``; standard normal unless given.
    shuffle : bool
        Whether images are shown in a random order, another one each time; otherwise as they come.
    power : float
        Exponent of the features.
    dtype : {"float32", "float64"}
        Precision of learning and of the weights.
    random_state : int, RandomState or None
        Seed of initial weights and order; an integer is the seed of the run itself.
    verbose : int
        Whether to show progress.

    Attributes
    ----------
    components_ : ndarray, shape (n_hidden, n_features)
        Weights.
    converged_fraction_ : float
        Fraction of rows with ``|sum |w|**p - 1| < 0.01``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Names of the features, if the images had names.
    n_iter_ : int
        Epochs of `fit`, and the calls of `partial_fit` since.
    tree_ : xarray.DataTree or None
        The result of the run of `fit`, with its settings; None after `partial_fit`.

    Raises
    ------
    ValidationError
        On fitting, if a setting is not allowed, or images are too small or large for ``dtype``. It is a ValueError, as
        are errors on images. The estimator stays as it was.

    Warns
    -----
    CollapseWarning
        If after `fit` one unit wins more than 90 % of the images, or more than half of the units are silent for all.

    See Also
    --------
    DisynapticFeatures : Features of excitatory cells that inhibit each other through inhibitory ones.

    Notes
    -----
    `transform` uses the plain product ``W x``, as in eq. 1 of the preprint, and not the current by which units are
    ranked, ``sum sign(w) |w|**(p - 1) x``; for p = 2 they are the same. It is computed so that the features of an image
    do not depend, to the bit, on what else is transformed with it.

    The size of a step is set by its largest change, so a constant factor on all images changes nothing. Where nothing
    is shown, nothing is learned: images of zeros leave the weights as they were. Images that are all the same make one
    row a copy of them.

    A layer can collapse: one row becomes the mean image and wins all, others become its negative and never respond. It
    does so more easily with a large ``delta``, small initial weights, few units and many epochs.

    References
    ----------
    Krotov D, Hopfield JJ (2019) Unsupervised learning by competing hidden units, PNAS 116:7723-7731,
    doi:10.1073/pnas.1820458116; arXiv:1806.10181, eqs. 1 to 3 and section 3.

    Examples
    --------
    >>> from neurocircuits.datasets import digits
    >>> from neurocircuits.learn import CompetingHiddenUnits
    >>> images = digits().values
    >>> layer = CompetingHiddenUnits(n_hidden=20, k=2, epochs=5, random_state=0)
    >>> layer.fit_transform(images).shape
    (1797, 20)
    """

    converged_fraction_: float
    n_iter_: int
    tree_: Any
    _seed: int
    _live: tuple[Circuit, SteadyState, Simulation] | None = None

    def __init__(
        self,
        n_hidden: int = 100,
        p: float = 3.0,
        k: int = 7,
        delta: float = 0.4,
        epochs: int = 100,
        batch: int = 100,
        step: float = 0.04,
        initial: Any = None,
        shuffle: bool = True,
        power: float = 1.0,
        dtype: str = "float32",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_hidden = n_hidden
        self.p = p
        self.k = k
        self.delta = delta
        self.epochs = epochs
        self.batch = batch
        self.step = step
        self.initial = initial
        self.shuffle = shuffle
        self.power = power
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    @undone_if_it_fails
    def fit(self, X: Any, y: Any = None) -> CompetingHiddenUnits:
        """Learn from the initial weights on.

        Parameters
        ----------
        X : array_like or CSR, shape (n_samples, n_features)
            Images, not negative.
        y : None
            Not used.

        Returns
        -------
        CompetingHiddenUnits
            Itself.
        """
        images = self._images(X, reset=True)
        epochs = self._whole("epochs")
        circuit = self._circuit(Linear(self._number("step"), 0.0, parts=epochs), self._initial())
        phase = Phase("learn", {"S": self._shown(images)}, epochs=epochs)
        seed = seed_of(self.random_state)
        tree = run(circuit, Protocol([phase], name="fit"), self._engine(), seed, progress=bool(self.verbose))
        self._live = None
        self._seed = seed
        self._keep(tree[f"/synapses/{_PATHWAY}"].ds["w"].values[-1], epochs, tree)
        self._warn_of_collapse(images)
        return self

    @undone_if_it_fails
    def partial_fit(self, X: Any, y: Any = None) -> CompetingHiddenUnits:
        """Learn from images, shown once with a constant step, from the present weights on.

        Parameters
        ----------
        X : array_like or CSR, shape (n_samples, n_features)
            Images, not negative.
        y : None
            Not used.

        Returns
        -------
        CompetingHiddenUnits
            Itself.
        """
        first = not hasattr(self, "components_")
        images = self._images(X, reset=first)
        seed = seed_of(self.random_state) if first else self._seed
        passes = 0 if first else self.n_iter_
        simulation = self._simulation(seed, None if first else self.components_)
        phase = Phase("learn", {"S": self._shown(images)})
        present(simulation, phase, Streams(seed).child("pass", passes), lambda readings: None)
        self._seed = seed
        self._keep(simulation.store.arrays[_PATHWAY], passes + 1, None)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of images, ``max(W x, 0)**power`` with the plain product.

        Parameters
        ----------
        X : array_like or CSR, shape (n_samples, n_features)
            Images, not negative.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_hidden)
            Features; those of an image do not depend on the others.
        """
        check_is_fitted(self)
        return rectified_products(self._images(X, reset=False), self.components_, self._number("power"))

    # -- the circuit ---------------------------------------------------------------------------------------------------

    def _circuit(self, size: float | Linear, initial: Weights | None) -> Circuit:
        """Return the circuit for the images that were checked last."""
        n_hidden, k = self._whole("n_hidden"), self._whole("k", 2)
        p, delta, _ = self._number("p", 2.0), self._number("delta", 0.0), self._number("power")
        if k > n_hidden:
            raise ValidationError(
                f"CompetingHiddenUnits: k = {k} and n_hidden = {n_hidden}; there is no unit of that rank. Lower k, or "
                "take more hidden units."
            )
        return krotov2019.circuit(
            self.n_features_in_, n_hidden, p=p, k=k, delta=delta, initial=initial, step=LargestChange(size)
        )

    def _initial(self) -> Weights | None:
        if self.initial is None or isinstance(self.initial, Weights):
            return self.initial
        values = numeric_array(self.initial, "CompetingHiddenUnits.initial")
        shape = (self._whole("n_hidden"), self.n_features_in_)
        if values.shape != shape:
            raise ValidationError(
                f"CompetingHiddenUnits.initial: shape {values.shape} is not (n_hidden, n_features) = {shape}."
            )
        return Given(values)

    def _engine(self) -> SteadyState:
        return SteadyState(batch=self._whole("batch"), dtype=self.dtype)

    def _shown(self, images: Any) -> Stimulus:
        largest, info = float(images.max()), np.finfo(self._engine().dtype)
        low, high = float(info.tiny) * _ROOM, float(info.max) / _ROOM
        if largest and not low <= largest <= high:
            raise ValidationError(
                f"CompetingHiddenUnits: the largest value of the images is {largest:.3g}; currents in {self.dtype} "
                f"need one between {low:.1g} and {high:.1g}. Divide the images by it, which changes nothing else."
            )
        stimulus = Patterns(images)
        return stimulus.shuffled() if self.shuffle else stimulus

    def _simulation(self, seed: int, weights: np.ndarray | None) -> Simulation:
        """Return the live simulation of these settings with ``weights``, or its initial ones; it stays open."""
        if weights is not None and len(weights) != self.n_hidden:
            raise ValidationError(
                f"CompetingHiddenUnits.n_hidden: {self.n_hidden!r}, but {len(weights)} units have learned already. "
                "Call fit to start anew."
            )
        engine = self._engine()
        circuit = self._circuit(self._number("step"), self._initial() if weights is None else None)
        live = self._live
        if weights is None or live is None or live[:2] != (circuit, engine):
            live = circuit, engine, engine.open(compile_circuit(circuit), Streams(seed))
        if weights is not None:
            live[2].load({**live[2].state(), f"weights/{_PATHWAY}": weights})
        self._live = live
        return live[2]

    def _keep(self, weights: np.ndarray, n_iter: int, tree: Any) -> None:
        """Keep what was learned."""
        self.components_ = weights.astype(self.dtype)  # a copy
        self.converged_fraction_ = float(converged_fraction(self.components_, self.p))
        self.n_iter_, self.tree_ = n_iter, tree

    def _warn_of_collapse(self, images: Any) -> None:
        n_images = images.shape[0]
        chosen = np.linspace(0, n_images - 1, min(n_images, _LOOKED_AT)).astype(int)
        simulation = self._simulation(self._seed, self.components_)
        self._live = None
        currents = responses(simulation, images[chosen], "current")
        if np.ptp(currents, axis=0).max() <= 1e-5 * np.abs(currents).max():  # one image, or all the same
            return
        measures = collapse(currents)
        winner, silent = measures["winner_share"], measures["silent_share"]
        if winner > _WINS_ALL or silent > _SILENT:
            warnings.warn(
                f"CompetingHiddenUnits: the layer collapsed. One unit wins {winner:.0%} of the images, and "
                f"{silent:.0%} of the units are silent for all of them. Lower delta ({self.delta:g}), start from "
                f"larger weights (such as initial=Normal(0.0, 10.0)), take fewer epochs ({self.epochs}), or try "
                "another random_state.",
                CollapseWarning,
                stacklevel=4,
            )
