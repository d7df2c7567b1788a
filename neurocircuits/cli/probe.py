"""Run a tiny circuit on an engine in a process of its own, which `doctor` starts: ``probe.py ENGINE SETTINGS-AS-JSON``."""

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

    import neurocircuits as nc
    from neurocircuits.engines.base import engines

    cells = nc.Population("E", 2, equations="dr/dt = (rectify(drive) - r)/tau : 1", parameters={"tau": "5 ms"})
    synapses = nc.Synapses("S", "E", weights=nc.Constant(0.5), rule=nc.Hebbian(eta="2 Hz"))
    circuit = nc.Circuit("doctor", [nc.Population("S", 2), cells], [synapses])
    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(np.eye(2), duration="50 ms")})])
    start = time.perf_counter()
    tree = nc.run(circuit, protocol, engine=engines()[engine](**settings), progress=False)
    weight = tree["/synapses/S_to_E"].ds["w"].values[-1, 0, 0]
    return {"seconds": time.perf_counter() - start, "weight": float(weight)}


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1], json.loads(sys.argv[2]))))
