"""`lightning report` on folds that were made without training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from experiments.cli import main
from tests.experiments.crossval import made

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
Refused = Callable[..., tuple[int, str]]


class Page(HTMLParser):
    """The text of a page, and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.fetched: list[str] = []
        self.charts = 0
        self.feed(html)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.charts += tag == "svg"
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]


@pytest.fixture
def runs(folder: Path) -> Path:
    for name, wrong in (("a", 1), ("b", 3)):
        path = folder / "runs" / "tiny" / f"crossval-{name}"
        made.write_description(path)
        for fold in range(3):
            made.write_fold(path / f"fold_{fold:02d}", fold, wrong=wrong + fold % 2)
            rows = "".join(f"{step},{0.5 + step / 100 + fold / 50}\n" for step in (10, 20, 20))
            (path / f"fold_{fold:02d}" / "metrics.csv").write_text(f"step,val/x\n{rows}")
            (path / f"fold_{fold:02d}" / "config.yaml").write_text("checkpoint: {monitor: val/x}\n")
    return folder / "runs"


def test_the_page_has_everything_in_one_file(runs: Path) -> None:
    main(["report", str(runs), "-o", "out/page.html"])
    html = Path("out/page.html").read_text("utf-8")
    page = Page(html)
    assert page.fetched == []
    assert "http" not in html
    text = " ".join(page.text)
    assert "Synthetic: drawn faces, of nobody." in text
    assert page.charts == 3  # leaderboard, curves, reliability
    rows = json.loads(Path("out/page.json").read_text())["rows"]
    assert [round(row["cells"]["accuracy"]["mean"], 4) for row in rows] == [0.7778, 0.4444]
    assert [row["runs"][0]["done"] for row in rows] == [[0, 1, 2], [0, 1, 2]]
    # 18 samples each: what McNemar tests is in the matrix of pairs too.
    p = f"{rows[1]['against_first']['p_mcnemar']:.3f}"
    assert page.text.count(p) >= 2
    # 4 wrong answers of one and 10 of the other, the same 4 among them.
    assert len([word for word in page.text if word in ("right", "wrong")]) == 2 * 6
    assert Path("out/page.csv").read_text().startswith("row,data,column,measure,n,mean,std")
    tex = Path("out/page.tex").read_text()
    assert tex.count(r"\\") == 3
    assert r"77.8 $\pm$ 9.6 \%" in tex


def test_several_data_are_several_tables(runs: Path) -> None:
    path = runs / "tiny" / "crossval-c"
    made.write_description(path)
    for fold in range(3):
        made.write_fold(path / f"fold_{fold:02d}", fold, manifest_hash="1e" * 8)
    main(["report", str(runs), "-o", "page.html"])
    assert len(list(Path().glob("page-comparison-*.tex"))) == 2


def test_names_are_escaped(runs: Path) -> None:
    hidden = "<script>alert(1)</script>"
    for path in (runs / "tiny").glob("*/crossval.json"):
        values = json.loads(path.read_text())
        path.write_text(json.dumps({**values, "experiment": hidden}))
    main(["report", str(runs), "-o", "page.html"])
    assert hidden not in Path("page.html").read_text()


def test_without_torch(runs: Path) -> None:
    code = (
        f"import sys; from experiments.cli import main; main(['report', {str(runs)!r}]); "
        "assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert Path("report.html").is_file()


def test_nothing_to_report(folder: Path, refused: Refused) -> None:
    code, said = refused("report", "runs")
    assert code == 1
    assert said == (
        "lightning: There is no finished fold below runs: run lightning crossval or study first."
    )


@pytest.mark.parametrize("width", [1100, 420])
def test_a_browser_shows_it(runs: Path, width: int) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is here")
    main(["report", str(runs), "-o", "page.html"])
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"]
    page = f"file://{Path('page.html').resolve()}"
    done = subprocess.run(
        [browser, *flags, "--virtual-time-budget=2000", "--dump-dom", page],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "Synthetic: drawn faces" in done.stdout
    assert done.stdout.count("<svg") == 3
