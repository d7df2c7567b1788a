"""``python -m benchmarks [NAME ...] [--json] [--quick]``: exit code 1 if a limit is missed."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time

from benchmarks import NAMES


def main(arguments: list[str] | None = None) -> int:
    """Run benchmarks by name, all unless given; return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which, all unless given: {', '.join(NAMES)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--quick", action="store_true", help="tiny settings, to see that all works; ratios mean nothing"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    found, holds = {}, True
    for name in options.names or NAMES:
        start = time.perf_counter()
        module = importlib.import_module(f"benchmarks.{name}")
        results = module.run(quick=options.quick)
        seconds = time.perf_counter() - start
        holds = holds and all(result.holds for result in results)
        found[name] = {"seconds": seconds, "results": [result.as_dict() for result in results]}
        if not options.json:
            print(f"{name} ({seconds:.0f} s): {module.__doc__.splitlines()[0]}", *results, sep="\n", flush=True)
    if options.json:
        print(json.dumps({"quick": options.quick, "holds": holds, "benchmarks": found}, indent=2))
    return 0 if holds or options.quick else 1


if __name__ == "__main__":
    sys.exit(main())
