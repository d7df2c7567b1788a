"""Networks near and beyond what a machine holds."""

from __future__ import annotations

import subprocess
import sys

import pytest

import neurocircuits as nc
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.engines.memory import needs
from neurocircuits.models import vogels2011

ONCE = nc.Protocol([nc.Phase("learn", duration="10 ms")], weights={"I_to_E": 100})


def network(n_excitatory: int, in_degree: tuple[int, int] = (800, 200), late: bool = False) -> nc.Circuit:
    delay = nc.Uniform("0.5 ms", "3 ms") if late else None
    return vogels2011.recurrent("auryn", n_excitatory, n_excitatory // 4, in_degree=in_degree, scale=0.2, delay=delay)


def test_a_network_that_cannot_fit_is_refused_with_the_numbers() -> None:
    """Rejects a run that is killed for memory after minutes of drawing synapses."""
    with pytest.raises(nc.UnsupportedError) as caught:
        nc.run(network(8_000_000, (8000, 2000)), ONCE, nc.Brian2())
    for words in ("100,000,000,000 synapses", "GiB of memory", "are free", "use fewer cells"):
        assert words in str(caught.value)
    with pytest.raises(nc.UnsupportedError, match="GiB on disk"):
        nc.run(network(8_000_000, (8000, 2000)), ONCE, nc.Brian2(device="cpp_standalone"))


def test_synapses_of_a_matrix_are_not_counted_as_a_list() -> None:
    circuit = nc.Circuit(
        "graded",
        [nc.Population("S", 5), nc.Population("E", 5, "r = drive : 1")],
        [nc.Synapses("S", "E")],
    )
    assert needs(compile_circuit(circuit), ONCE).n_synapses == 0


PROGRAM = """
import resource, sys
import neurocircuits as nc
from tests.engines.test_large import ONCE, network
nc.run(network(int(sys.argv[1]), late=sys.argv[2] == "True"), ONCE, nc.Brian2(device="cpp_standalone"), progress=False)
print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""


@pytest.mark.slow
@pytest.mark.standalone
def test_memory_is_predicted_within_a_fifth() -> None:
    """Rejects a prediction that lets a network start which will not fit: 10 to 40 million synapses, late ones, too."""
    for n, late in ((8000, False), (8000, True), (16000, False), (32000, False)):
        arguments = [sys.executable, "-c", PROGRAM, str(n), str(late)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        measured = 1024 * float(done.stdout.split()[-1])
        predicted = needs(compile_circuit(network(n, late=late)), ONCE).memory
        assert measured < 1.2 * predicted
        assert predicted < 1.4 * measured  # the program and what is left of its declaration do not peak together
