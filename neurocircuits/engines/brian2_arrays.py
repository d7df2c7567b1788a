"""Let a standalone program hold what it reads from files once.

Brian 2 reads all given values into arrays that stay to the end, copies them into the arrays of the network, and lets
those of connections grow by doubling. For a network of many synapses that is two thirds of its memory.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

_CREATES = re.compile(r"(\w+)_synapses_create_array_codeobject")


def hold_once(device: Any) -> None:
    """Rewrite what a program does before its run: given arrays become those of the network, or go once copied.

    Parameters
    ----------
    device : CPPStandaloneDevice
        Brian 2's device before it is built; its main queue is changed.
    """
    given = device.static_arrays
    held = {name: (variable.dtype, variable.size) for variable, name in device.arrays.items()}
    setting = [args for func, args in device.main_queue if func in ("set_by_array", "set_array_by_array")]
    uses = Counter(name for args in setting for name in args if isinstance(name, str))
    queue: list[Any] = []
    for func, args in device.main_queue:
        if func == "set_by_array" and uses[args[1]] == 1:
            target, source, is_dynamic = args
            if not is_dynamic and held[target] == (given[source].dtype, given[source].size):
                queue.append(("insert_code", f"delete [] {target}; {target} = {source}; {source} = 0;"))
            else:
                queue += [(func, args), ("insert_code", f"delete [] {source}; {source} = 0;")]
            continue
        if func == "run_code_object" and (made := _CREATES.fullmatch(args[0].name)):
            n = len(given[f"_static_array__array_{made[1]}_sources"])
            for side in ("pre", "post"):
                queue.append(("insert_code", f"_dynamic_array_{made[1]}__synaptic_{side}.reserve({n});"))
        queue.append((func, args))
    device.main_queue[:] = queue
