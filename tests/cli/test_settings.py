"""Settings as key=value: whose they are, what a text means, and what is refused with which words."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import typer

from neurocircuits.cli import catalogue, settings


def make(n: int, rate: Any = "1 Hz", name: str = "a", flag: bool = False, limit: int | None = None) -> dict[str, Any]:
    return {"n": n, "rate": rate, "name": name, "flag": flag, "limit": limit}


FACTORY = catalogue.Factory("thing", make, dict(inspect.signature(make).parameters))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n=3", 3),
        ("n=1e5", 100_000),
        ("rate=0.05 Hz", "0.05 Hz"),
        ("rate=0.05", 0.05),
        ("rate=(0, 1)", (0, 1)),
        ("name=3", "3"),
        ("name=true", "true"),
        ("flag=true", True),
        ("flag=False", False),
        ("limit=none", None),
        ("limit=7", 7),
        ("name=a=b", "a=b"),
    ],
)
def test_a_text_means_what_the_annotation_says(text: str, expected: Any) -> None:
    # Rejects: eval of what is typed, 1e5 refused as a whole number, and "3" turned into 3 where text is asked for.
    key = text.partition("=")[0]
    made = settings.make(FACTORY, settings.split([text])[""], {"n": 1})
    assert made[key] == expected
    assert type(made[key]) is type(expected)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["n"], "'n' is not key=value"),
        (["=3"], "is not key=value"),
        (["n=3", "n=4"], "'n' is given twice"),
        (["protcol.n=3"], "Did you mean protocol.?"),
        (["a.b.n=3"], "no prefix 'a.b'"),
        (["n=three"], "n=three: expected a whole number"),
        (["n=2.5"], "n=2.5: expected a whole number"),
        (["n=true"], "expected a whole number"),
        (["flag=1"], "expected true or false"),
        (["limit=x"], "expected a whole number or none"),
        (["n=3", "rat=3"], "Did you mean rate?"),
        (["n=3", "rat=3"], "Known: n, rate, name, flag, limit"),
        ([], "thing needs --set n=..."),
    ],
)
def test_what_does_not_fit_is_refused(pairs: list[str], words: str) -> None:
    with pytest.raises(typer.BadParameter, match=".*") as caught:
        settings.make(FACTORY, settings.split(pairs, ["protocol"])[""], {})
    assert words in caught.value.message


def test_what_the_user_sets_comes_before_what_is_given() -> None:
    # Rejects: data that overrule --set, and given values that a factory does not ask for.
    assert settings.make(FACTORY, {"n": "3"}, {"n": 1, "other": 2})["n"] == 3


def test_a_protocol_takes_what_the_one_that_it_names_takes() -> None:
    # Rejects: a protocol that passes its settings on, and whose settings the command line then refuses.
    found = catalogue.protocol("silencing").settings
    assert {"values", "silenced", "n_learn", "duration"} <= set(found)


def test_variants_take_what_their_main_function_takes() -> None:
    # Rejects: seung2018.bars refusing n_excitatory, because it only declares **settings.
    circuit = settings.make(catalogue.model("seung2018.bars"), {"n_excitatory": "5"}, {})
    assert circuit.population("E").n_units == 5
    assert circuit.population("I").n_units == 8
