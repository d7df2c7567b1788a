"""Topics of documents as a transformer: the disynaptic circuit with one excitatory cell for each topic."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted

from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol
from neurocircuits.declare.record import Record
from neurocircuits.declare.steps import Inverse
from neurocircuits.declare.stimulus import Patterns, Stimulus
from neurocircuits.engines.base import Simulation
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import ValidationError
from neurocircuits.learn._base import present, seed_of, undone_if_it_fails
from neurocircuits.learn._disynaptic import (
    LEARNING_TOLERANCE,
    DisynapticTransformer,
    initial_excitatory,
    rates_at_rest,
    renewing,
    unit_power,
)
from neurocircuits.models import seung2018
from neurocircuits.randomness import Streams
from neurocircuits.simulation import Watcher, run
from neurocircuits.units import quantity

_PROBED = 2000
_SECONDS = 0.1  # a document is shown for so long
_LOOKS, _FIRST, _LAST = 15, 0.3, 0.6  # how often fit looks for topics that are the same, in which part of minibatches
_RATE, _SHARE = 0.2, 0.5  # of the words: 1/s, unless that is more than this share of the step limit


class DisynapticTopics(DisynapticTransformer):
    """Learn topics as the weights of excitatory cells that inhibit each other only through a few inhibitory cells.

    Each word has a sensory cell, each topic an excitatory one. Hebbian synapses raise the correlation of topics and
    documents, inhibition that is learned lowers the correlation of topics with each other. It is no generative model
    and has no probabilities of its own. The circuit is `neurocircuits.models.seung2018.circuit`.

    Parameters
    ----------
    n_components : int
        Number of topics, excitatory cells.
    n_inhibitory : int, optional
        Number of inhibitory cells; ``max(2, n_components // 4)`` unless given. 0 leaves inhibition out.
    p, q : float
        ``<x_i**2>`` of a topic tends to ``q**2``, ``<x_i x_j>`` of two topics to ``p**2`` at most. A small p/q gives
        documents fewer topics.
    kappa, gamma : float
        Competition and decay of the synapses of words; a large kappa/gamma leaves topics fewer words.
    n_minibatches : int
        Minibatches that `fit` learns from.
    batch : int
        Documents in a minibatch; each pass over the documents ends with a smaller one if their number is no multiple.
    shuffle : bool
        Whether documents are shown in a random order, another one each pass.
    eta_excitatory : quantity, optional
        Learning rate of the synapses of words at the start, 1/s; a document is shown for 100 ms. Unless given, 0.2 Hz,
        or less where that would be more than half of what keeps the step stable (see notes).
    learning_offset : float or None
        Minibatches after which that rate has fallen to a half; it goes as ``1/(1 + n/learning_offset)`` with n the
        minibatches so far, those of `partial_fit` included. None keeps it constant.
    eta_inhibitory, eta_gain : quantity
        Learning rates of inhibition and gains, constant.
    gain_floor : float
        Lower bound of the divisive gains.
    duplicates : float or None
        Topics whose weights have a cosine above it are the same, and in the middle of `fit` (0.3 to 0.6 of the
        minibatches) the second of two such topics starts anew; None lets them be.
    random_state : int, RandomState or None
        Seed of initial weights and order; an integer is the seed of the run itself.
    verbose : int
        Whether to show progress.

    Attributes
    ----------
    components_ : ndarray, shape (n_components, n_features)
        Weights W from words to topics, of 0 or more.
    topic_word_ : ndarray, shape (n_components, n_features)
        The same with rows that sum to 1.
    inhibitory_components_ : ndarray, shape (n_inhibitory, n_components)
        Weights A from excitatory to inhibitory cells, of 0 or more.
    gain_ : ndarray, shape (n_components,)
        Divisive gains.
    scale_ : float
        What documents are multiplied by: the mean of their squared length was then 1 in `fit`, or in the first call of
        `partial_fit`.
    n_features_in_ : int
        Number of words.
    feature_names_in_ : ndarray of str
        Names of the words, if the documents had names.
    n_iter_ : int
        Minibatches that were learned from.
    tree_ : xarray.DataTree or None
        The result of the run of `fit`, with its settings. Its phase "probe" shows up to 2000 of the documents with
        plasticity off, for the functions in `neurocircuits.analysis`. None after `partial_fit`.

    Raises
    ------
    ValidationError
        On fitting, if a setting is not allowed, all documents are empty, or the step of the weights would be too large.
        It is a ValueError, as are errors on documents. The estimator stays as it was.

    Warns
    -----
    CollapseWarning
        On `fit`, if no document excites most of the topics, or all weights onto inhibitory cells are lost.

    See Also
    --------
    DisynapticFeatures : The same circuit for images.

    Notes
    -----
    Documents are rows of numbers of 0 or more for the words that they contain, best sublinear tf-idf in rows of unit
    length as from ``Corpus.vectorizer()``. A CSR matrix stays sparse: products with it cost what it holds, and nothing
    larger than the weights is dense.

    Scores solve ``x = max(W u - A' A x, 0)/gain`` with u the scaled document. They rise in proportion to it, and a
    document without known words has none. `neurocircuits.analysis.topic_shares` makes them sum to 1. With fewer
    documents than topics, some topics are the same or have no documents; of one document, topics are copies.

    A step multiplies the sum of the weights of a topic by ``1 - eta_excitatory * 0.1 s * (gamma + kappa * n_features)``
    before documents add to it. Where this is negative all its synapses are lost at once, so it is refused. A large
    kappa from the start also leaves topics that are the same: learn with a small one, then set it and go on with
    `partial_fit`.

    The source gives no settings; those here were chosen on the corpus M10, `neurocircuits.datasets.m10`.

    References
    ----------
    Yang R, Luther K, Seung HS (2020) Unsupervised feature discovery by neural networks with disynaptic recurrent
    inhibition (slides). Seung HS (2018) Unsupervised learning by a nonlinear network with Hebbian excitatory and
    anti-Hebbian inhibitory neurons, arXiv:1812.11581.

    Examples
    --------
    >>> from neurocircuits.datasets import Corpus
    >>> from neurocircuits.learn import DisynapticTopics
    >>> texts = ["the cat and the dog", "a dog chased a cat", "stars and planets", "planets orbit stars"] * 10
    >>> corpus = Corpus("pets and stars", texts)
    >>> vectorizer = corpus.vectorizer()
    >>> documents = vectorizer.fit_transform(corpus.documents)
    >>> topics = DisynapticTopics(n_components=2, n_minibatches=1000, batch=20, random_state=0).fit(documents)
    >>> words = vectorizer.get_feature_names_out()
    >>> sorted(sorted(words[row.argsort()[-2:]].tolist()) for row in topics.components_)
    [['cat', 'dog'], ['planets', 'stars']]
    """

    inhibitory_components_: np.ndarray
    gain_: np.ndarray
    scale_: float
    n_iter_: int
    tree_: Any
    _seed: int
    _live: tuple[Circuit, SteadyState, Simulation] | None = None

    def __init__(
        self,
        n_components: int = 20,
        n_inhibitory: int | None = None,
        p: float = 0.1,
        q: float = 1.0,
        kappa: float = 5e-4,
        gamma: float = 1.0,
        n_minibatches: int = 3000,
        batch: int = 100,
        shuffle: bool = True,
        eta_excitatory: Any = None,
        learning_offset: float | None = 300.0,
        eta_inhibitory: Any = "0.1 Hz",
        eta_gain: Any = "0.5 Hz",
        gain_floor: float = 5e-4,
        duplicates: float | None = 0.8,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.n_inhibitory = n_inhibitory
        self.p = p
        self.q = q
        self.kappa = kappa
        self.gamma = gamma
        self.n_minibatches = n_minibatches
        self.batch = batch
        self.shuffle = shuffle
        self.eta_excitatory = eta_excitatory
        self.learning_offset = learning_offset
        self.eta_inhibitory = eta_inhibitory
        self.eta_gain = eta_gain
        self.gain_floor = gain_floor
        self.duplicates = duplicates
        self.random_state = random_state
        self.verbose = verbose

    @property
    def topic_word_(self) -> np.ndarray:
        """Weights with rows that sum to 1; equal ones where a topic has no words."""
        sums = self.components_.sum(axis=1, keepdims=True)
        even = np.full_like(self.components_, 1.0 / self.components_.shape[1])
        return np.divide(self.components_, sums, out=even, where=sums > 0)

    @undone_if_it_fails
    def fit(self, X: Any, y: Any = None) -> DisynapticTopics:
        """Learn from the initial weights on.

        Parameters
        ----------
        X : array_like or CSR, shape (n_samples, n_features)
            Documents, not negative.
        y : None
            Not used.

        Returns
        -------
        DisynapticTopics
            Itself.
        """
        documents = self._images(X, reset=True)
        n_minibatches, batch = self._whole("n_minibatches"), self._whole("batch")
        scale = unit_power(documents, "DisynapticTopics")
        circuit = self._circuit(0, initial_excitatory(documents, scale, self._number("q")))
        passes, rest = divmod(n_minibatches, -(-documents.shape[0] // batch))
        shown = self._shown(documents, scale)
        phases = []
        if passes:
            phases.append(
                Phase("learn", {"S": shown}, epochs=passes, plasticity=self._slowing(0, n_minibatches - rest))
            )
        if rest:
            phases.append(
                Phase(
                    "learn_rest", {"S": shown.take(rest * batch)}, plasticity=self._slowing(n_minibatches - rest, rest)
                )
            )
        probe = Patterns(documents[:_PROBED], duration=_SECONDS, scale=scale)
        recorded = Record("r", "excitation", "inhibition")
        phases.append(Phase("probe", {"S": probe}, plasticity=False, record=recorded))
        seed = seed_of(self.random_state)
        tree = run(
            circuit,
            Protocol(phases, name="fit"),
            self._engine(),
            seed,
            progress=bool(self.verbose),
            watch=self._renewing(n_minibatches * batch, seed),
            watch_every=max(1, n_minibatches // _LOOKS) * batch,
        )
        self._live = None
        self._seed, self.scale_, self.n_iter_ = seed, scale, n_minibatches
        self._keep(tree)
        return self

    @undone_if_it_fails
    def partial_fit(self, X: Any, y: Any = None) -> DisynapticTopics:
        """Learn from documents, shown once, from the present weights on: for a corpus that comes in parts.

        Settings that changed since, such as kappa or p, count from now on; numbers of cells cannot change.

        Parameters
        ----------
        X : array_like or CSR, shape (n_samples, n_features)
            Documents, not negative; a multiple of ``batch`` where there are enough.
        y : None
            Not used.

        Returns
        -------
        DisynapticTopics
            Itself.
        """
        first = not hasattr(self, "components_")
        documents = self._images(X, reset=first)
        batch = self._whole("batch")
        if first:
            seed, n_before = seed_of(self.random_state), 0
            scale = unit_power(documents, "DisynapticTopics")
            circuit = self._circuit(0, initial_excitatory(documents, scale, self._number("q")))
        else:
            seed, n_before, scale = self._seed, self.n_iter_, self.scale_
            self._check_numbers_of_cells()
            circuit = self._circuit(n_before, 1.0)
        n_minibatches = -(-documents.shape[0] // batch)
        simulation = self._simulation(circuit, seed, first)
        phase = Phase("learn", {"S": self._shown(documents, scale)}, plasticity=self._slowing(n_before, n_minibatches))
        present(simulation, phase, Streams(seed).child("part", n_before), lambda readings: None)
        state = simulation.state()
        self._seed, self.scale_, self.n_iter_, self.tree_ = seed, scale, n_before + n_minibatches, None
        self.components_ = state["weights/S_to_E"]
        self.inhibitory_components_ = state.get("weights/E_to_I", np.zeros((0, len(self.components_))))
        self.gain_ = np.exp(state["values/E/log_gain"])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the scores of topics in documents: the rates of excitatory cells at rest, with plasticity off.

        Parameters
        ----------
        X : array_like or CSR, shape (n_samples, n_features)
            Documents, not negative.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_components)
            Scores of 0 or more; those of a document do not depend on the others, but for rounding.
        """
        check_is_fitted(self)
        documents = csr_array(self._images(X, reset=False))
        return rates_at_rest(documents, self.components_, self.inhibitory_components_, self.gain_, self.scale_)

    # -- the circuit ---------------------------------------------------------------------------------------------------

    def _n_inhibitory(self) -> int:
        if self.n_inhibitory is None:
            return max(2, self._whole("n_components") // 4)
        return self._whole("n_inhibitory", 0)

    def _circuit(self, n_before: int, largest_initial: float) -> Circuit:
        """Return the circuit for the documents that were checked last, after so many minibatches."""
        gamma, kappa = self._number("gamma"), self._number("kappa", 0.0)
        # by what the sum of the weights of a topic falls in a step, per unit of the rate
        decay = _SECONDS * (gamma + kappa * self.n_features_in_) * self._slowed(n_before)
        if self.eta_excitatory is None:
            rate: Any = f"{min(_RATE, _SHARE / decay)!r} Hz"
        else:
            rate = self._rate("eta_excitatory")
            step = quantity(rate, "DisynapticTopics.eta_excitatory").value * decay
            if not step < 1:
                raise ValidationError(
                    f"DisynapticTopics: with eta_excitatory = {rate!r}, gamma = {gamma:g}, kappa = {kappa:g} and "
                    f"{self.n_features_in_} words a step takes {step:.3g} times the weights of a topic away, which "
                    f"silences it; it must be below 1. Lower eta_excitatory below {1 / decay:.3g} Hz."
                )
        return seung2018.circuit(
            self.n_features_in_,
            self._whole("n_components"),
            self._n_inhibitory(),
            p=self._number("p"),
            q=self._number("q"),
            gamma=gamma,
            kappa=kappa,
            eta_excitatory=rate,
            eta_inhibitory=self._rate("eta_inhibitory"),
            eta_gain=self._rate("eta_gain"),
            gain_floor=self._number("gain_floor"),
            initial_excitatory=largest_initial,
        )

    def _renewing(self, n_documents: int, seed: int) -> Watcher | None:
        if self.duplicates is None:
            return None
        first, last = int(_FIRST * n_documents), int(_LAST * n_documents)
        return renewing(self._number("duplicates"), first, last, Streams(seed).child("renewed"))

    def _engine(self) -> SteadyState:
        return SteadyState(batch=self._whole("batch"), learning_tolerance=LEARNING_TOLERANCE)

    def _shown(self, documents: Any, scale: float) -> Stimulus:
        stimulus = Patterns(documents, duration=_SECONDS, scale=scale)
        return stimulus.shuffled() if self.shuffle else stimulus

    def _slowed(self, n_before: int) -> float:
        """Return the share of its first value that the rate of words has after so many minibatches."""
        return 1.0 if self.learning_offset is None else 1.0 / (1.0 + n_before / self._number("learning_offset"))

    def _slowing(self, n_before: int, n_minibatches: int) -> Any:
        """Return the schedule of the next minibatches."""
        if self.learning_offset is None:
            return True
        rate = n_minibatches / (n_before + self._number("learning_offset"))
        return {"S_to_E": Inverse(self._slowed(n_before), rate)}

    def _check_numbers_of_cells(self) -> None:
        now = (self._n_inhibitory(), self._whole("n_components"))
        if now != self.inhibitory_components_.shape:
            raise ValidationError(
                f"DisynapticTopics: n_inhibitory and n_components are {now}, but cells have learned already, as many "
                f"as {self.inhibitory_components_.shape}. Call fit to start anew."
            )

    def _simulation(self, circuit: Circuit, seed: int, first: bool) -> Simulation:
        """Return the live simulation of a circuit in the present state, or its initial one; it stays open."""
        engine, live = self._engine(), self._live
        if first or live is None or live[:2] != (circuit, engine):
            live = circuit, engine, engine.open(compile_circuit(circuit), Streams(seed))
        if not first:
            learned = {"weights/S_to_E": self.components_, "values/E/log_gain": np.log(self.gain_)}
            if len(self.inhibitory_components_):
                learned["weights/E_to_I"] = self.inhibitory_components_
            live[2].load({**live[2].state(), **learned})
        self._live = live
        return live[2]
