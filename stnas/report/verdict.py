"""What the page says of the verdict: the candidates of each limit, and how far each came."""

from stnas.report.load import Row
from stnas.store.console import percent

WORDS = {"loss": "loss", "accuracy": "images right", "balanced_accuracy": "balanced accuracy"}
"""What a search and a verdict may go by, in words."""


def contests(verdict: Row, *, searched: str, judged: str) -> list[Row]:
    """List the limits of a verdict's result, each with its candidates, the best first.

    searched, judged: what shared weights were and trainings are ranked by, of WORDS. A candidate's
    ``reached`` is that on held-out images after each of the verdict's ``ends``; None where it was
    not trained so far.
    """
    reached = {(row["genotype"], row["epochs"]): row.get(judged) for row in verdict["judged"]}
    names = {choice["limit"]: choice["name"] for choice in verdict["choices"]}
    return [
        {
            "limit": contest["limit"],
            "name": names.get(contest["limit"]),
            "ends": verdict["ends"],
            "searched": WORDS[searched],
            "judged": WORDS[judged],
            "rows": [
                {
                    **row,
                    "score": said(row.get(searched), searched),
                    "reached": [
                        said(reached.get((row["genotype"], end)), judged) for end in verdict["ends"]
                    ],
                }
                for row in contest["ranking"]
            ],
        }
        for contest in verdict["candidates"]
    ]


def said(value: float | None, measure: str) -> str:
    """Format a value of a measure."""
    if value is None:
        return "—"
    return f"{value:.4f}" if measure == "loss" else percent(value)
