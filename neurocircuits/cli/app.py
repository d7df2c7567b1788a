"""The commands. Each is a thin layer over the package: it resolves names, calls, and prints."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from neurocircuits import __version__
from neurocircuits.errors import InterruptedRun, NeurocircuitsError

INTERRUPTED = 130
Settings = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="A setting; may be repeated.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Store the result: a folder .zarr or a file .zip.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")]


class _Commands(typer.core.TyperGroup):
    """The group of commands: --debug may stand anywhere, and errors of the package become one message."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta["neurocircuits.debug"] = "--debug" in args
        return super().parse_args(ctx, [argument for argument in args if argument != "--debug"])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NeurocircuitsError as error:
            if ctx.meta["neurocircuits.debug"]:
                raise
            typer.echo(f"{type(error).__name__}: {error}", err=True)
            raise typer.Exit(INTERRUPTED if isinstance(error, InterruptedRun) else 1) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Circuits of excitatory and inhibitory neurons that learn, declared once and run both ways. "
    "Start with: neurocircuits demo --out demo",
)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("neurocircuits").setLevel(logging.INFO)
    warnings.formatwarning = _warning_line
    app(prog_name="neurocircuits")


def _warning_line(message: Any, category: type[Warning], *_: Any, **__: Any) -> str:
    return f"{category.__name__}: {message}\n"


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"neurocircuits {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    pass


@app.command("list")
def list_everything() -> None:
    """List models, protocols, figures, engines and data sets."""
    from neurocircuits.cli import listing

    for title, rows in listing.sections():
        typer.echo(f"{title}\n{rows}\n")


@app.command()
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A circuit: seung2018, seung2018.bars, ...")],
    latex: Annotated[bool, typer.Option("--latex", help="Equations as LaTeX.")] = False,
    set_: Settings = [],  # noqa: B006
) -> None:
    """Show what a circuit integrates, solves and learns, and where it is from."""
    import inspect

    from neurocircuits.cli import catalogue, settings
    from neurocircuits.compile.compiler import compile_circuit

    factory = catalogue.model(model)
    circuit = settings.make(factory, settings.split(set_)[""], {})
    typer.echo(f"{factory.name}: {factory.summary}\n")
    typer.echo(inspect.getdoc(sys.modules[factory.call.__module__]) or "")
    typer.echo(f"\nSettings (--set key=value): {', '.join(factory.settings)}\n")
    typer.echo(compile_circuit(circuit).explain(latex=latex))


@app.command()
def run(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A circuit: seung2018, seung2018.bars, ...")],
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="An experiment: features, ...")],
    engine: Annotated[str, typer.Option("--engine", metavar="E", help="How to run.")] = "steady-state",
    set_: Settings = [],  # noqa: B006
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="NAME", help="A data set (neurocircuits list), or a .npy, .npz or .csv."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of all random streams.")] = 0,
    output: Output = None,
    overwrite: Overwrite = False,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", metavar="DIR", help="Save states there, to resume from.")
    ] = None,
    checkpoint_every: Annotated[
        float, typer.Option("--checkpoint-every", metavar="SECONDS", min=0.0, help="Time between them.")
    ] = 60.0,
) -> None:
    """Run an experiment on a circuit.

    Settings of the circuit are --set key=value, those of the others --set protocol.key=value, engine.key=value and
    data.key=value.
    """
    from neurocircuits import simulation
    from neurocircuits.cli import resolve
    from neurocircuits.cli.reports import describe_tree

    _check_output(output, overwrite)
    parts = resolve.experiment(model, protocol, engine, data, set_, seed)
    typer.echo(parts.summary, err=True)
    if output is None:
        typer.echo("The result is not stored; -o FILE keeps it.", err=True)
    tree = simulation.run(
        parts.circuit,
        parts.protocol,
        engine=parts.engine,
        seed=seed,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        store=output,
        overwrite=overwrite,
    )
    typer.echo(describe_tree(tree))
    _say_stored(output)


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that was given as --checkpoint.")],
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """Continue a run from its last checkpoint."""
    from neurocircuits import simulation
    from neurocircuits.cli.reports import describe_tree
    from neurocircuits.engines.base import engines
    from neurocircuits.engines.checkpoint import Checkpoint
    from neurocircuits.results.storage import save

    _check_output(output, overwrite)
    engines()  # known by name from here on
    store = Checkpoint(folder).declarations()["settings"]["store"]
    if store is None and output is None:
        typer.echo("The result is not stored; -o FILE keeps it.", err=True)
    tree = simulation.resume(folder)
    if output is not None:
        save(tree, output, overwrite=overwrite)
    typer.echo(describe_tree(tree))
    _say_stored(store if output is None else output)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A stored result, the reference.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another of the same circuit and protocol.")],
) -> None:
    """Compare two results, variable by variable and phase by phase."""
    from neurocircuits.analysis import compare as compare_
    from neurocircuits.cli.reports import describe_comparison
    from neurocircuits.results.storage import load

    typer.echo(describe_comparison(compare_(load(a), load(b))))


@app.command()
def info(path: Annotated[Path, typer.Argument(metavar="FILE", help="A stored result or a checkpoint folder.")]) -> None:
    """Say where a result comes from and what it holds; works on checkpoints, too."""
    from neurocircuits.cli.reports import describe_checkpoint, describe_tree
    from neurocircuits.results.storage import load

    if (path / "run.json").is_file():
        typer.echo(f"{path}: a checkpoint\n\n{describe_checkpoint(path)}")
    else:
        typer.echo(f"{path}: a result\n\n{describe_tree(load(path))}")


@app.command()
def topics(
    corpus: Annotated[
        str,
        typer.Argument(metavar="CORPUS", help="A folder of texts, a table .csv or .tsv, or a name: bbc_news, m10, ..."),
    ],
    n_topics: Annotated[
        int | None,
        typer.Option(
            "--topics", "-k", metavar="K", min=1, help="How many; 20 unless given, or a fifth of few documents."
        ),
    ] = None,
    kappa: Annotated[
        float | None, typer.Option("--kappa", metavar="X", help="Competition: more of it leaves topics fewer words.")
    ] = None,
    p: Annotated[
        float | None,
        typer.Option("--p", metavar="X", help="From 0 to q = 1: a small p gives documents few topics."),
    ] = None,
    set_: Settings = [],  # noqa: B006
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of all random streams.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the map: a page .html for a browser.")
    ] = None,
    save_: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Store the result: a folder .zarr or a file .zip.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Learn the topics of a corpus and show them, as a table and as an interactive map.

    Other settings of DisynapticTopics are --set key=value; those of what reads the corpus --set data.key=value (text,
    label and name are columns of a table; encoding, pattern), and those of the vectorizer --set words.key=value
    (max_df, stop_words).
    """
    from neurocircuits.cli import topics as topics_
    from neurocircuits.results.storage import save

    _check_output(save_, overwrite, "--save")
    _check_output(output, overwrite, "-o", (".html", ".htm"), "a map is a page; name a file that ends in .html.")
    learned = topics_.learn(
        corpus, n_topics, {"kappa": kappa, "p": p}, set_, seed, say=lambda line: typer.echo(line, err=True)
    )
    typer.echo(learned.table())
    if save_ is not None:
        save(learned.tree(), save_, overwrite=overwrite)
        _say_stored(save_)
    if output is None:
        typer.echo("\n-o map.html writes the interactive map.", err=True)
    else:
        size = topics_.write(learned.page(), output)
        typer.echo(f"\nWritten to {output} ({size}); open it in a browser, no network is needed.")


@app.command()
def figure(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A figure; `neurocircuits list` names them.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The small setting, on data that are always here.")] = False,
    seeds: Annotated[int | None, typer.Option("--seeds", metavar="N", min=1, help="How many seeds.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every figure.")] = False,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where NAME.png and NAME.json are written.")] = Path(
        "output/figures"
    ),
) -> None:
    """Regenerate a published figure and check its claims; the exit code is 0 only if every claim holds."""
    from neurocircuits import reproduce
    from neurocircuits.cli import catalogue
    from neurocircuits.cli.listing import describe_figure

    known = reproduce.figures()
    if every == (name is not None):
        raise typer.BadParameter(f"name one figure, or pass --all. Known: {', '.join(known)}.", param_hint="NAME")
    if name is not None and name not in known:
        raise catalogue.unknown("figure", name, known, "NAME")
    failed = []
    for each in known if name is None else [name]:
        try:
            content = reproduce.regenerate(each, out, quick=quick, seeds=seeds)
        except NeurocircuitsError as error:
            if name is not None or isinstance(error, InterruptedRun):
                raise
            typer.echo(f"{each}: not made. {type(error).__name__}: {error}\n", err=True)
            failed.append(each)
            continue
        seeds_text = ", ".join(map(str, content["seeds"]))
        typer.echo(f"{each}: {out / f'{each}.png'} ({content['setting']}, seeds {seeds_text})")
        typer.echo(f"{describe_figure(content)}\n")
        failed += [] if content["holds"] else [each]
    if failed:
        typer.echo(f"Claims fail, or could not be judged, in: {', '.join(failed)}", err=True)
        raise typer.Exit(1)


@app.command()
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Do not try the engines, which takes up to minutes.")] = False,
) -> None:
    """Say what is installed, which engines work here, where data and caches are, and what would fix what is missing."""
    from neurocircuits.cli import doctor as doctor_

    broken = 0
    for title, findings in doctor_.sections(compile_engines=not quick):
        typer.echo(title)
        for finding in findings:
            mark = "ok " if finding.ok else "NO " if finding.needed else " - "
            typer.echo(f"  {mark} {finding.what:<22} {finding.state}")
            if finding.fix:
                typer.echo(f"{'':29}fix: {finding.fix}")
            broken += finding.needed and not finding.ok
    if broken:
        typer.echo(f"{broken} of what is needed does not work.", err=True)
        raise typer.Exit(1)
    typer.echo("What is needed works.")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where all is written.")] = Path("demo"),
) -> None:
    """Learn features of digits with both engines, compare them, and draw what was learned."""
    from neurocircuits.cli.demo import run_demo

    run_demo(out, say=typer.echo)


def _check_output(
    output: Path | None,
    overwrite: bool,
    hint: str = "-o",
    suffixes: tuple[str, ...] = (".zarr", ".zip"),
    meant: str = "results are stored as Zarr; name a folder that ends in .zarr, or a file in .zip.",
) -> None:
    """Refuse a place for the result now rather than when the run is over."""
    from neurocircuits.errors import StorageError

    if output is None:
        return
    if output.exists() and not overwrite:
        raise StorageError(f"'{output}' exists. Choose another name or pass --overwrite.")
    parent = output.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise StorageError(f"The folder '{parent}' does not exist or cannot be written. Make it, or name another one.")
    if output.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"{output}: {meant}", param_hint=hint)


def _say_stored(path: Any) -> None:
    if path is not None:
        typer.echo(f"\nStored as {path}; look at it again with: neurocircuits info {path}")
