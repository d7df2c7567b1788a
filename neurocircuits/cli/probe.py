"""Run a tiny circuit on an engine, in a process of its own that `neurocircuits.cli.doctor` starts.

``python -m neurocircuits.cli.probe ENGINE SETTINGS``: settings are JSON, and so are the seconds and the weight printed.
"""

from __future__ import annotations

import json
import sys
import time


def probe(engine: str, settings: dict[str, object]) -> dict[str, float]:
    """Build, run and learn with two cells, and return the seconds of the whole and what became of a weight.

    Parameters
    ----------
    engine : str
        Name of a registered engine.
    settings : dict
        Its settings.
    """
    import numpy as np

    from neurocircuits.declare.circuit import Circuit
    from neurocircuits.declare.population import Population
    from neurocircuits.declare.protocol import Phase, Protocol
    from neurocircuits.declare.rules import Hebbian
    from neurocircuits.declare.stimulus import Patterns
    from neurocircuits.declare.synapses import Synapses
    from neurocircuits.declare.weights import Constant
    from neurocircuits.engines.base import engines
    from neurocircuits.simulation import run

    cells = Population("E", 2, equations="dr/dt = (rectify(drive) - r)/tau : 1", parameters={"tau": "5 ms"})
    synapses = Synapses("S", "E", weights=Constant(0.5), rule=Hebbian(eta="2 Hz"))
    circuit = Circuit("doctor", [Population("S", 2), cells], [synapses])
    protocol = Protocol([Phase("learn", {"S": Patterns(np.eye(2), duration="50 ms")})])
    start = time.perf_counter()
    tree = run(circuit, protocol, engine=engines()[engine](**settings), progress=False)
    weight = tree["/synapses/S_to_E"].ds["w"].values[-1, 0, 0]
    return {"seconds": time.perf_counter() - start, "weight": float(weight)}


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1], json.loads(sys.argv[2]))))
