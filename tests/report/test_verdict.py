"""What the page says of the verdict, by the measure that it went by."""

import pytest

from stnas.report.verdict import contests

ROW = {"genotype": "st1-a", "madds": 10, "loss": 0.5, "accuracy": 0.25, "balanced_accuracy": 0.125}
VERDICT = {
    "ends": [1, 3],
    "choices": [{"limit": 20, "name": "A"}],
    "candidates": [{"limit": 20, "ranking": [ROW]}],
    "judged": [{**ROW, "epochs": 1, "loss": 0.4, "accuracy": 0.75, "balanced_accuracy": 0.625}],
}


@pytest.mark.parametrize(
    ("searched", "judged", "score", "reached"),
    [
        ("loss", "loss", "0.5000", ["0.4000", "—"]),
        ("loss", "balanced_accuracy", "0.5000", ["62.50 %", "—"]),
        ("accuracy", "accuracy", "25.00 %", ["75.00 %", "—"]),
    ],
)
def test_candidates_are_shown_by_what_ranked_them(searched, judged, score, reached):
    (found,) = contests(VERDICT, searched=searched, judged=judged)
    assert found["name"] == "A"
    (row,) = found["rows"]
    assert (row["score"], row["reached"]) == (score, reached)


def test_a_measure_that_an_old_row_lacks_is_a_dash():
    old = {**ROW}
    del old["balanced_accuracy"]
    verdict = {**VERDICT, "candidates": [{"limit": 20, "ranking": [old]}], "judged": []}
    (found,) = contests(verdict, searched="balanced_accuracy", judged="balanced_accuracy")
    assert found["rows"][0]["score"] == "—"
