"""Stimuli are pure functions of a stream and of presentation numbers, and compose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix, issparse

import neurocircuits as nc
from neurocircuits.declare.serialise import from_dict, to_dict
from neurocircuits.randomness import Streams

A = nc.Patterns(np.arange(20.0).reshape(10, 2), labels=np.arange(10) % 3, duration="100 ms")
B = nc.Patterns(100.0 + np.arange(20.0).reshape(10, 2), duration="50 ms")


def whole(stimulus: nc.Stimulus, seed: int = 0, size: int = 1000) -> nc.Presentations:
    """Read a stimulus in batches and put them together."""
    parts = list(stimulus.batches(Streams(seed), size))
    values = [p.values.toarray() if issparse(p.values) else p.values for p in parts]
    joined = [np.concatenate([getattr(p, name) for p in parts]) for name in ("durations", "labels", "index")]
    return nc.Presentations(np.concatenate(values), *joined)


def same(a: nc.Presentations, b: nc.Presentations) -> None:
    for name in ("values", "durations", "labels", "index"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_durations_are_given_in_any_form() -> None:
    """Rejects durations in milliseconds that are taken as seconds, and an array of another dimension."""
    import brian2 as b2

    numbers = np.array([20.0, 30.0, 50.0])
    in_ms = [numbers * b2.ms, [k * b2.ms for k in numbers], [f"{k} ms" for k in numbers], numbers * 1e-3]
    for given_ in (*in_ms, list(numbers * 1e-3), np.array([1, 2, 3]) * 1000 * b2.usecond * [20, 15, 50 / 3]):
        patterns = nc.Patterns(np.ones((3, 2)), duration=given_)
        durations = whole(patterns).durations
        assert type(durations) is np.ndarray
        np.testing.assert_allclose(durations, [0.02, 0.03, 0.05], rtol=1e-12)
        assert from_dict(to_dict(patterns)) == patterns
    for wrong in (numbers * b2.mV, [1 * b2.ms, 1 * b2.mV, 1 * b2.ms]):
        with pytest.raises(nc.UnitError, match="Patterns.duration: .*mvolt is not a time"):
            nc.Patterns(np.ones((3, 2)), duration=wrong)


COMPOSED = {
    "patterns": A,
    "sum": A + B,
    "sequence": A >> B,
    "take": A.take(9),
    "shuffled": A.shuffled(),
    "sampled": A.sampled(23),
    "all": ((A.shuffled() + B).take(9) >> B.sampled(5).shuffled()).shuffled(),
}


@settings(max_examples=30)
@given(st.sampled_from(sorted(COMPOSED)), st.integers(1, 13), st.integers(0, 5))
def test_batches_of_any_size_are_the_same_presentations(name: str, size: int, seed: int) -> None:
    """Rejects a random choice that depends on how a stimulus is read, which resuming and batching change."""
    same(whole(COMPOSED[name], seed, size), whole(COMPOSED[name], seed))


@settings(max_examples=30)
@given(st.sampled_from(sorted(COMPOSED)), st.lists(st.integers(0, 8), min_size=1, max_size=12), st.integers(0, 5))
def test_presentations_are_found_by_number(name: str, numbers: list[int], seed: int) -> None:
    """In any order, with repeats: presentation k is presentation k."""
    everything = whole(COMPOSED[name], seed)
    some = COMPOSED[name].at(np.array(numbers), Streams(seed))
    for field in ("values", "durations", "labels", "index"):
        np.testing.assert_array_equal(getattr(some, field), getattr(everything, field)[numbers])


def test_a_sum_shows_both_at_once() -> None:
    """Values add; durations and labels are those of the first."""
    both = whole(A + B)
    np.testing.assert_array_equal(both.values, A.values.values + B.values.values)
    np.testing.assert_array_equal(both.labels, np.arange(10) % 3)
    assert set(both.durations) == {0.1}
    np.testing.assert_array_equal(whole(B + A).labels, -1)


def test_a_sequence_shows_one_after_the_other() -> None:
    after = whole(A >> B)
    np.testing.assert_array_equal(after.values, np.vstack([A.values.values, B.values.values]))
    np.testing.assert_array_equal(after.durations, [0.1] * 10 + [0.05] * 10)
    np.testing.assert_array_equal(after.index, [*range(10), *range(10)])


def test_a_shuffled_stimulus_is_a_permutation_that_the_stream_decides() -> None:
    """Each presentation once; another seed, another epoch, another order; the same stream, the same order."""
    first, again, other = whole(A.shuffled(), 1), whole(A.shuffled(), 1), whole(A.shuffled(), 2)
    same(first, again)
    assert sorted(first.index) == list(range(10))
    assert list(first.index) != list(other.index)
    phase = nc.Phase("p", {"S": A.shuffled()}, epochs=3)
    orders = [tuple(phase.batch(start, 10, Streams(0))["S"].index) for start in (0, 10, 20)]
    assert len(set(orders)) == 3


def test_a_sampled_stimulus_draws_with_replacement() -> None:
    """Every presentation is as likely; more may be drawn than there are."""
    drawn = whole(A.sampled(20_000), 3)
    counts = np.bincount(drawn.index, minlength=10)
    assert (np.abs(counts - 2000) < 6 * np.sqrt(2000)).all()
    np.testing.assert_array_equal(drawn.values, A.values.values[drawn.index])


def test_the_two_sides_of_a_sum_are_shuffled_on_their_own() -> None:
    """Rejects one stream for both sides, which would always pair the same presentations."""
    both = whole(A.shuffled() + A.shuffled())
    assert not np.array_equal(both.values, 2 * A.values.values[both.index])


def test_sparse_presentations_stay_sparse() -> None:
    """CSR in, CSR out, equal to dense, through every composition but a sum with a dense one."""
    dense = np.random.default_rng(0).random((10, 2)) * (np.random.default_rng(1).random((10, 2)) < 0.5)
    for kind in (csr_array, csr_matrix):
        sparse = nc.Patterns(kind(dense), duration="100 ms", labels=np.arange(10))
        other = nc.Patterns(dense, duration="100 ms", labels=np.arange(10))
        for build in (
            lambda s: s,
            lambda s: s + s,
            lambda s: s >> s,
            lambda s: s.take(7),
            lambda s: s.shuffled(),
            lambda s: s.sampled(30),
        ):
            values = build(sparse).at(np.arange(6), Streams(0)).values
            assert isinstance(values, csr_array)
            same(whole(build(sparse), size=4), whole(build(other)))
        mixed = (sparse + other).at(np.arange(6), Streams(0)).values
        np.testing.assert_allclose(np.asarray(mixed), 2 * dense[:6])
        same(whole(sparse >> other), whole(other >> other))
    scaled = nc.Patterns(csr_array(dense), scale=3.0).at(np.arange(4), Streams(0)).values
    np.testing.assert_allclose(scaled.toarray(), 3 * dense[:4])


def test_memory_maps_and_zarr_arrays_are_read_by_slices(tmp_path: Path) -> None:
    """The same presentations as an array in memory, in any order, NaN found when it is read."""
    import zarr

    values = np.random.default_rng(0).random((30, 4))
    mapped = np.memmap(tmp_path / "values.dat", dtype=float, mode="w+", shape=values.shape)
    mapped[:] = values
    chunked = zarr.create_array(tmp_path / "values.zarr", shape=values.shape, chunks=(7, 4), dtype=float)
    chunked[:] = values
    for lazy in (mapped, chunked):
        same(whole(nc.Patterns(lazy).shuffled(), size=8), whole(nc.Patterns(values).shuffled()))
        stimulus = nc.Patterns(lazy)
        assert stimulus == nc.Patterns(lazy)
        lazy[11, 2] = np.nan
        broken = nc.Patterns(lazy)
        broken.at(np.arange(11), Streams(0))
        with pytest.raises(nc.ValidationError, match="1 values are NaN or infinite"):
            broken.at(np.arange(8, 16), Streams(0))


def test_labels_keep_their_kind() -> None:
    """Integers, floats, text, and text that pandas would hand over as objects."""
    for labels, kind in (
        (np.arange(10), "i"),
        (np.linspace(0, 1, 10), "f"),
        (list("abcdefghij"), "U"),
        (np.array(list("abcdefghij"), object), "U"),
    ):
        stimulus = nc.Patterns(A.values.values, labels=labels)
        got = whole(stimulus).labels
        assert got.dtype.kind == kind
        assert list(got) == list(labels)


def test_a_phase_reads_epochs_one_after_the_other() -> None:
    """A batch ends with its epoch, and a batch anywhere is the same as in a row."""
    phase = nc.Phase("p", {"S": A.shuffled(), "T": B}, epochs=3, timetable=nc.Window("20 ms"))
    assert phase.n_presentations == 30
    read, start = [], 0
    while start < 30:
        parts = phase.batch(start, 4, Streams(1))
        n = len(parts["S"].durations)
        assert n == len(parts["T"].durations) == min(4, 10 - start % 10)
        read.extend(parts["S"].index)
        np.testing.assert_array_equal(parts["T"].index, np.arange(start % 10, start % 10 + n))
        start += n
    singles = [int(phase.batch(k, 1, Streams(1))["S"].index[0]) for k in range(30)]
    assert read == singles


def test_a_timetable_sets_the_duration() -> None:
    phase = nc.Phase("p", {"S": A}, timetable=[nc.Window("20 ms"), nc.Window("5 ms", hold=True)])
    np.testing.assert_allclose(phase.batch(0, 3, Streams(0))["S"].durations, 0.025)
