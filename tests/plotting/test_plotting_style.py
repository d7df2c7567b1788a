"""Canvases, the style sheet and panel letters leave no trace outside."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from neurocircuits.errors import ValidationError
from neurocircuits.plotting import panel_letters, panels, style


def test_style_holds_inside_and_restores_the_users_settings() -> None:
    with matplotlib.rc_context({"font.size": 23, "lines.linewidth": 9}):
        with style():
            assert matplotlib.rcParams["font.size"] == 8
            assert matplotlib.rcParams["axes.spines.top"] is False
            colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
            assert len(set(colours)) == len(colours) == 7
        assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["lines.linewidth"]) == (23, 9)


def test_panels_render_without_a_display_or_pyplot() -> None:
    script = (
        "import sys\n"
        "from neurocircuits import plotting\n"
        "with plotting.style():\n"
        "    figure, ax = plotting.panels()\n"
        "    plotting.curve(ax, [1, 2], [3, 4])\n"
        "    figure.canvas.draw()\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "False"


def test_panels_have_the_size_asked_for() -> None:
    with style():
        figure, axes = panels(2, 3, size=(6, 4), sharex=True)
        assert axes.shape == (2, 3)
        picture = io.BytesIO()
        figure.savefig(picture, format="rgba", dpi=50)
    assert len(picture.getvalue()) == 300 * 200 * 4


def test_letters_follow_reading_order() -> None:
    figure, axes = panels(2, 2)
    panel_letters(axes)
    assert [ax.texts[0].get_text() for ax in np.ravel(axes)] == ["a", "b", "c", "d"]
    figure.canvas.draw()
    for ax in np.ravel(axes):
        box, letter = ax.get_window_extent(), ax.texts[0].get_window_extent()
        assert letter.x1 <= box.x0 + 1
        assert letter.y0 >= box.y1
    panel_letters([panels()[1]], first="C")


@pytest.mark.parametrize("first", ["1", "ab", "", "y"])
def test_letters_that_do_not_exist_are_refused(first: str) -> None:
    with pytest.raises(ValidationError, match="no letters for 4 panels"):
        panel_letters(panels(2, 2)[1], first=first)
