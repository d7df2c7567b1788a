"""Features of a circuit with disynaptic recurrent inhibition as a transformer, on the steady-state engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from neurocircuits.declare.circuit import Circuit
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.learn._base import seed_of, undone_if_it_fails
from neurocircuits.learn._disynaptic import (
    LEARNING_TOLERANCE,
    DisynapticTransformer,
    initial_excitatory,
    rates_at_rest,
    unit_power,
)
from neurocircuits.models import seung2018
from neurocircuits.protocols import features
from neurocircuits.simulation import run

_PROBED = 2000


class DisynapticFeatures(DisynapticTransformer):
    """Learn features as rates of excitatory cells that inhibit each other only through a few inhibitory cells.

    Hebbian synapses bring in the images, anti-Hebbian ones from E to I (tied to those from I to E) keep the cells
    apart, and a gain of each cell keeps its power. The circuit is `neurocircuits.models.seung2018.circuit`.

    Parameters
    ----------
    n_excitatory, n_inhibitory : int
        Numbers of cells; 0 inhibitory cells leave the loop out.
    p, q : float
        ``<r_i**2>`` tends to ``q**2``, ``<r_i r_j>`` to ``p**2`` at most.
    gamma, kappa : float
        Decay and competition of the synapses that bring in the images; kappa/gamma sets how many survive. Whole images
        are learned at 0.003, parts such as strokes at 0.02.
    n_minibatches : int
        Minibatches to learn from. Digits of 8 x 8 pixels take 1000, MNIST takes 6000.
    batch : int
        Images in a minibatch; each pass over the images ends with a smaller one if their number is no multiple of it.
    shuffle : bool
        Whether images are shown in a random order, another one each pass.
    eta_excitatory, eta_inhibitory, eta_gain : quantity
        Learning rates, 1/s; an image is shown for 100 ms.
    gain_floor : float
        Lower bound of the divisive gains.
    initial_excitatory : float, optional
        Initial weights from the images are uniform between 0 and this; unless given, it makes the power of the mean
        excitation ``q**2``.
    initial_inhibitory : float
        Initial weights from E to I are uniform between 0 and this.
    random_state : int, RandomState or None
        Seed of initial weights and order; an integer is the seed of the run itself.
    verbose : int
        Whether to show progress.

    Attributes
    ----------
    components_ : ndarray, shape (n_excitatory, n_features)
        Weights W from scaled images to E cells, of 0 or more.
    inhibitory_components_ : ndarray, shape (n_inhibitory, n_excitatory)
        Weights A from E to I cells, of 0 or more.
    gain_ : ndarray, shape (n_excitatory,)
        Divisive gains.
    scale_ : float
        What images are multiplied by: the mean of their squared length was then 1.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Names of the features, if the images had names.
    n_iter_ : int
        Minibatches that were learned from.
    tree_ : xarray.DataTree
        The result of the run of `fit`, with its settings. Its phase "probe" shows up to 2000 of the images with
        plasticity off, for the functions in `neurocircuits.analysis`.

    Raises
    ------
    ValidationError
        On fitting, if a setting is not allowed or all images are zero. It is a ValueError, as are errors on images. The
        estimator stays as it was.

    Warns
    -----
    CollapseWarning
        On `fit`, if no image excites most of the cells, or all weights onto inhibitory cells are lost.

    See Also
    --------
    CompetingHiddenUnits : Features of units that are ranked by their current.

    Notes
    -----
    Rates at rest solve ``r = max(W u - A' A r, 0)/gain`` with u the scaled image. They rise in proportion with the
    image, so an image twice as bright has features twice as large. An image of zeros has features of zero. Of images
    that are all the same, cells that are active learn a copy; others may fall silent.

    References
    ----------
    Seung HS (2018) Unsupervised learning by a nonlinear network with Hebbian excitatory and anti-Hebbian inhibitory
    neurons, arXiv:1812.11581.

    Examples
    --------
    >>> from neurocircuits.datasets import digits
    >>> from neurocircuits.learn import DisynapticFeatures
    >>> images = digits().values
    >>> cells = DisynapticFeatures(n_excitatory=16, n_inhibitory=4, n_minibatches=20, random_state=0)
    >>> cells.fit_transform(images).shape
    (1797, 16)
    """

    inhibitory_components_: np.ndarray
    gain_: np.ndarray
    scale_: float
    n_iter_: int
    tree_: Any

    def __init__(
        self,
        n_excitatory: int = 64,
        n_inhibitory: int = 16,
        p: float = 0.3,
        q: float = 1.0,
        kappa: float = 0.003,
        gamma: float = 1.0,
        n_minibatches: int = 1000,
        batch: int = 100,
        shuffle: bool = True,
        eta_excitatory: Any = "0.02 Hz",
        eta_inhibitory: Any = "0.05 Hz",
        eta_gain: Any = "0.5 Hz",
        gain_floor: float = 5e-4,
        initial_excitatory: float | None = None,
        initial_inhibitory: float = 0.1,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_excitatory = n_excitatory
        self.n_inhibitory = n_inhibitory
        self.p = p
        self.q = q
        self.kappa = kappa
        self.gamma = gamma
        self.n_minibatches = n_minibatches
        self.batch = batch
        self.shuffle = shuffle
        self.eta_excitatory = eta_excitatory
        self.eta_inhibitory = eta_inhibitory
        self.eta_gain = eta_gain
        self.gain_floor = gain_floor
        self.initial_excitatory = initial_excitatory
        self.initial_inhibitory = initial_inhibitory
        self.random_state = random_state
        self.verbose = verbose

    @undone_if_it_fails
    def fit(self, X: Any, y: Any = None) -> DisynapticFeatures:
        """Learn from the initial weights on.

        Parameters
        ----------
        X : array_like or CSR, shape (n_samples, n_features)
            Images, not negative.
        y : None
            Not used.

        Returns
        -------
        DisynapticFeatures
            Itself.
        """
        images = self._images(X, reset=True)
        n_minibatches, batch = self._whole("n_minibatches"), self._whole("batch")
        scale = unit_power(images, "DisynapticFeatures")
        circuit = self._circuit(self._largest_initial(images, scale))
        n_images = images.shape[0]
        passes, rest = divmod(n_minibatches, -(-n_images // batch))
        protocol = features.protocol(
            images,
            n_learn=passes * n_images + rest * batch,
            n_probe=min(n_images, _PROBED),
            shuffle=bool(self.shuffle),
            scale=scale,
        )
        engine = SteadyState(batch=batch, learning_tolerance=LEARNING_TOLERANCE)
        tree = run(circuit, protocol, engine, seed_of(self.random_state), progress=bool(self.verbose))
        self.scale_, self.n_iter_ = scale, n_minibatches
        self._keep(tree)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of images: the rates of E cells at rest, with plasticity off.

        Parameters
        ----------
        X : array_like or CSR, shape (n_samples, n_features)
            Images, not negative.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_excitatory)
            Rates; those of an image do not depend on the others, but for rounding.
        """
        check_is_fitted(self)
        images = self._images(X, reset=False)
        return rates_at_rest(images, self.components_, self.inhibitory_components_, self.gain_, self.scale_)

    def _circuit(self, largest_initial: float) -> Circuit:
        """Return the circuit for the images that were checked last."""
        return seung2018.circuit(
            self.n_features_in_,
            self._whole("n_excitatory"),
            self._whole("n_inhibitory", 0),
            p=self._number("p", 0.0),
            q=self._number("q"),
            gamma=self._number("gamma"),
            kappa=self._number("kappa", 0.0),
            eta_excitatory=self._rate("eta_excitatory"),
            eta_inhibitory=self._rate("eta_inhibitory"),
            eta_gain=self._rate("eta_gain"),
            gain_floor=self._number("gain_floor"),
            initial_excitatory=largest_initial,
            initial_inhibitory=self._number("initial_inhibitory", 0.0),
        )

    def _largest_initial(self, images: Any, scale: float) -> float:
        if self.initial_excitatory is not None:
            return self._number("initial_excitatory", 0.0)
        return initial_excitatory(images, scale, self._number("q"))
