"""The code of the README and of the pages in docs runs, block after block, in an empty folder."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {  # and what they print, since the README says so and theory does
    "README.md": r"steady states 12 of 12 bars\ncontinuous time 12 of 12 bars\nlearned weights differ by 0\.\d %",
    "docs/tutorial.md": r"weights differ by 0\.\d %\n12 of 12 bars\n(.*\n)*length of the weights, 1 in theory: 1\.00",
    "docs/howto.md": r"\(3, 8, 25\)\n(8[5-9]|9\d)\.\d % of the digits",
}


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_does_what_it_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / page).read_text()
    blocks = list(BLOCK.finditer(text))
    assert blocks, f"{page} has no code"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROCIRCUITS_CACHE", str(tmp_path / "cache"))
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        code = block.group(1)
        if "neurocircuits.recurrent" in code and importlib.util.find_spec("torch") is None:
            continue
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + code, str(ROOT / page), "exec"), names)
    assert re.search(PAGES[page], capsys.readouterr().out)


def test_blocks_are_found() -> None:
    """Rejects a pattern that skips blocks."""
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert len(BLOCK.findall(text)) == text.count("```python"), page


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    """Rejects pages that link nowhere and docstrings that numpydoc cannot read."""
    pytest.importorskip("sphinx", reason="needs Sphinx: pip install 'neurocircuits[docs]'")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", str(ROOT / "docs"), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not found.returncode, found.stderr
    assert "steady states" in (tmp_path / "tutorial.html").read_text()
    reference = (tmp_path / "made" / "api" / "neurocircuits.analysis.ei_balance.html").read_text()
    assert "Raises" in reference and "no cell is active" in reference
    assert "disynaptic" in (tmp_path / "made" / "gallery.html").read_text()
