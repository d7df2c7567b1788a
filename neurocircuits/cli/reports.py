"""What is printed about results and checkpoints: tables, provenance, phases, groups and sizes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr


def table(rows: Iterable[Sequence[Any]], header: Sequence[str] = (), indent: int = 2) -> str:
    """Return rows as aligned columns; numbers to the right, the last column ragged.

    Examples
    --------
    >>> print(table([("learn", 5000), ("probe", 200)], ["phase", "n"], indent=0))
    phase     n
    learn  5000
    probe   200
    """
    rows = [tuple(row) for row in rows]
    numeric = [all(isinstance(row[k], int | float) for row in rows) for k in range(len(rows[0]))] if rows else []
    texts = [tuple(header)] * bool(header) + [tuple(_cell(value) for value in row) for row in rows]
    widths = [max(len(row[k]) for row in texts) for k in range(len(texts[0]))] if texts else []
    lines = []
    for row in texts:
        columns = zip(row, widths, numeric or [False] * len(row), strict=True)
        cells = [cell.rjust(width) if right else cell.ljust(width) for cell, width, right in columns]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def size_text(n_bytes: float) -> str:
    """Return a number of bytes in the unit that fits.

    Examples
    --------
    >>> size_text(1536), size_text(12)
    ('1.5 kB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1024 or unit == "GB":
            break
        n_bytes /= 1024
    return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"


def call_text(data: dict[str, Any]) -> str:
    """Return a declaration, given as plain data, as the call that makes it: ``SteadyState(batch=100)``."""
    inside = ", ".join(f"{key}={value!r}" for key, value in data.items() if key != "type")
    return f"{data.get('type', '')}({inside})"


def describe_tree(tree: xr.DataTree) -> str:
    """Return provenance, phases, groups and sizes of a result."""
    attrs = tree.attrs
    circuit, protocol, engine = (json.loads(attrs[key]) for key in ("circuit", "protocol", "engine"))
    cut_off = "" if attrs["complete"] else "THE RUN WAS CUT OFF: this is what was recorded until then"
    facts = [
        ("circuit", _circuit_text(circuit)),
        ("protocol", protocol.get("name", "")),
        ("engine", call_text(engine)),
        ("seed", str(attrs["seed"])),
        ("made", f"{attrs['created_at']}, in {attrs['wall_time']:.1f} s, on {attrs['platform']}"),
        ("with", ", ".join(f"{name} {version}" for name, version in json.loads(attrs["versions"]).items())),
        ("commit", attrs["git_hash"] or "not from a checkout"),
        ("hash", attrs["content_hash"]),
        ("Dale's law", "not asked for" if attrs["unconstrained"] else _violations(attrs["dale_violations"])),
    ]
    parts = [table(facts), cut_off, _phases(tree), _groups(tree)]
    return "\n\n".join(part for part in parts if part)


def _violations(n: int) -> str:
    return f"{n} weights had the wrong sign" if n else "holds: no weight had the wrong sign"


def _circuit_text(circuit: dict[str, Any]) -> str:
    cells = ", ".join(f"{p['name']} {p['n_units']}" for p in circuit.get("populations", []))
    return f"{circuit.get('name', '')} ({cells})"


def _phases(tree: xr.DataTree) -> str:
    if "diagnostics" not in tree.children or "phases" not in tree.children["diagnostics"].children:
        return ""
    data = tree["/diagnostics/phases"].to_dataset()
    names = ("n_presentations", "residual_worst", "iterations_mean", "distance_worst")
    columns = [name for name in names if name in data and data[name].notnull().any()]
    phases = data["phase"].values.tolist()
    rows = [(phase, *(data[name].values[k].item() for name in columns)) for k, phase in enumerate(phases)]
    return table(rows, ["phase", *columns])


def _groups(tree: xr.DataTree) -> str:
    rows = []
    for node in tree.subtree:
        data = node.to_dataset(inherit=False)
        if node.path == "/diagnostics/phases" or not (data.data_vars or "tied_to" in data.attrs):
            continue
        sizes = " x ".join(f"{name} {n}" for name, n in data.sizes.items())
        read = "the transpose of " if data.attrs.get("transposed", 1) else "the weights of "
        held = ", ".join(map(str, data.data_vars)) or f"{read}{data.attrs['tied_to']}"
        rows.append((node.path, held, sizes, size_text(data.nbytes)))
    return table(rows, ["group", "variables", "sizes", "memory"])


def describe_checkpoint(folder: Path) -> str:
    """Return what a checkpoint folder is of, how far it is, and how to go on."""
    from neurocircuits.declare.serialise import to_dict
    from neurocircuits.engines.base import engines
    from neurocircuits.engines.checkpoint import Checkpoint

    checkpoint = Checkpoint(folder)
    engines()  # known by name from here on
    run = checkpoint.declarations()
    kept = checkpoint.latest()
    phases = run["protocol"].phases
    total = sum(phase.n_presentations for phase in phases)
    if kept is None:
        where = f"before the first presentation of {total}; nothing has been saved yet"
    else:
        cursor = kept[1]
        done = sum(phase.n_presentations for phase in phases[: cursor["phase"]]) + cursor["position"]
        name = phases[min(cursor["phase"], len(phases) - 1)].name
        where = f"{done} of {total} presentations, in phase {name!r}, at t = {cursor['time']:g} s"
    cells = ", ".join(f"{p.name} {p.n_units}" for p in run["circuit"].populations)
    n_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    facts = [
        ("circuit", f"{run['circuit'].name} ({cells})"),
        (
            "protocol",
            f"{run['protocol'].name} ({', '.join(f'{phase.name} {phase.n_presentations}' for phase in phases)})",
        ),
        ("engine", call_text(to_dict(run["engine"]))),
        ("seed", str(run["seed"])),
        ("reached", where),
        ("result", run["settings"]["store"] or "not stored; resume with -o FILE"),
        ("size", size_text(n_bytes)),
        ("go on", f"neurocircuits resume {folder}"),
    ]
    return table(facts)


def describe_comparison(comparison: xr.DataTree) -> str:
    """Return the table of differences of two results, one line per variable and phase."""
    data = comparison.to_dataset()
    columns = ("rms", "largest", "relative", "correlation")
    rows = [
        (
            *(str(data[name].values[k]) for name in ("variable", "phase")),
            *(float(data[name].values[k]) for name in columns),
        )
        for k in range(data.sizes["entry"])
    ]
    text = table(rows, ["variable", "phase", *columns])
    for side, of in (("only_a", "the first"), ("only_b", "the second")):
        if data.attrs[side]:
            text += f"\n  only in {of}: {', '.join(data.attrs[side])}"
    return text
