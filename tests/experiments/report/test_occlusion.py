from __future__ import annotations

from experiments.report.occlusion import occlusion_tables

SSIM = {
    "accuracy": 0.8,
    "accuracy_clean": 0.9,
    "accuracy_clean_reconstructed": 0.88,
    "accuracy_eyes": 0.7,
    "accuracy_eyes_reconstructed": 0.85,
    "accuracy_mouth": 0.92,
    "accuracy_mouth_reconstructed": 0.91,
    "accuracy_occluded": 0.81,
    "accuracy_reconstructed": 0.88,
}


def rows(lines: list[str], method: str) -> list[list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row[1:] for row in cells if row[0] == method]


def test_three_tables_in_the_papers_layout() -> None:
    lines = occlusion_tables({"ssim": SSIM, "mse": SSIM | {"accuracy_eyes_reconstructed": 0.65}})
    assert rows(lines, "method") == [["nothing hidden", "eyes", "mouth"], *[["eyes", "mouth"]] * 2]
    assert rows(lines, "ssim") == [
        ["90.0", "70.0", "92.0"],
        ["85.0", "91.0"],
        # Three quarters of the 20 points; a mouth that cost nothing has no share.
        ["+15.0 (75%)", "-1.0"],
    ]
    assert rows(lines, "mse")[2] == ["-5.0 (-25%)", "-1.0"]


def test_a_baseline_stands_below_its_method() -> None:
    free = {"accuracy_clean_baseline": 0.89, "accuracy_eyes_baseline": 0.8}
    lines = occlusion_tables({"ssim": SSIM | free | {"accuracy_mouth_baseline": 0.75}, "mse": SSIM})
    assert rows(lines, "ssim: baseline") == [["80.0", "75.0"]]
    assert rows(lines, "mse: baseline") == []


def test_methods_that_reconstruct_nothing_have_no_such_table() -> None:
    assert occlusion_tables({"flow_cnn": {"accuracy": 0.9}}) == []
    assert occlusion_tables({"ssim": SSIM, "flow_cnn": {"accuracy": 0.9}}) == []
