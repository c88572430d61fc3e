"""`lightning report` on folds that were made without training."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html import unescape
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
            run = path / f"fold_{fold:02d}"
            # Folds are unequal, and so are their epochs.
            rows = "".join(
                f"{step + fold},{0.5 + step / 100 + fold / 50},180\n" for step in (10, 20, 20)
            )
            (run / "metrics.csv").write_text(f"step,val/x,progress/seconds\n{rows}")
            (run / "config.yaml").write_text("checkpoint: {monitor: val/x}\n")
            (run / "latency.json").write_text(json.dumps({"median_ms": 2.0 + 7 * wrong + fold}))
    return folder / "runs"


def test_the_page_has_everything_in_one_file(runs: Path) -> None:
    main(["report", str(runs), "-o", "out/page.html"])
    html = Path("out/page.html").read_text("utf-8")
    page = Page(html)
    assert page.fetched == []
    assert "http" not in html
    text = " ".join(page.text)
    assert "Synthetic: drawn faces, of nobody." in text
    assert page.charts == 4  # leaderboard, curves, reliability, latency
    rows = json.loads(Path("out/page.json").read_text())["rows"]
    assert [round(row["cells"]["accuracy"]["mean"], 4) for row in rows] == [0.7778, 0.4444]
    assert [row["runs"][0]["done"] for row in rows] == [[0, 1, 2], [0, 1, 2]]
    # 18 samples each: what McNemar tests is in the matrix of pairs too.
    p = f"{rows[1]['against_first']['p_mcnemar']:.3f}"
    assert page.text.count(p) >= 2
    # 4 wrong answers of one and 10 of the other, the same 4 among them.
    assert len([word for word in page.text if word[0] in "✓✗"]) == 2 * 6
    assert "of 18 in all, 8 are answered rightly by every method and 4 by none" in text
    # Differences over folds are (1 - 3) / 6 each time, of no variance, and not tested.
    assert [page.text[page.text.index("Differences of pairs over folds") + n] for n in (4, 6)] == [
        "+33.3 (-)",
        "-33.3 (-)",
    ]
    assert "over n = 3 folds, by Holm for 0 pairs; - where all folds differ alike." in text
    # Three folds of three validations of three minutes; one was repeated after a resume.
    assert "0.45 10" in text
    assert "0.45 24" in text  # milliseconds, the median of three folds
    assert Path("out/page.csv").read_text().startswith("row,data,column,measure,n,mean,std")
    tex = Path("out/page.tex").read_text()
    assert tex.count(r"\begin{tabular}") == 6  # the table, two of pairs, recall, samples, runs
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


PROBE = """<script>
const root = document.documentElement, tables = [...document.querySelectorAll(".wide")];
document.body.dataset.found = JSON.stringify({
  window: innerWidth, page: root.scrollWidth, charts: document.querySelectorAll("svg").length,
  paper: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.querySelector("svg text")).fill,
  outside: tables.filter(t => t.getBoundingClientRect().right > innerWidth).length});
</script></body>"""
"""Has a browser say how it lays out the page, which itself holds no script."""


@pytest.mark.parametrize("width", [1400, 500])
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it(runs: Path, width: int, dark: bool) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is here")
    main(["report", str(runs), "-o", "page.html"])
    html = Path("page.html").read_text("utf-8")
    assert "<script" not in html
    Path("probed.html").write_text(html.replace("</body>", PROBE), "utf-8")
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"),
        *("--virtual-time-budget=2000", f"--blink-settings=preferredColorScheme={1 - dark}"),
    ]
    done = subprocess.run(
        [browser, *flags, "--dump-dom", f"file://{Path('probed.html').resolve()}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = re.search(r'data-found="([^"]+)"', done.stdout)
    assert told is not None
    found = json.loads(unescape(told.group(1)))
    assert found["window"] == width
    # What is wider than the window, such as a table, moves by itself and not the page.
    assert found["page"] <= width
    assert found["outside"] == 0
    assert found["charts"] == 4
    paper, ink = (sum(map(int, re.findall(r"\d+", found[key])[:3])) for key in ("paper", "ink"))
    assert (paper < 200 < 600 < ink) if dark else (ink < 200 < 600 < paper)
