"""What the page says of the verdict: the candidates of each limit, and how far each came."""

from stnas.report.load import Row


def contests(verdict: Row) -> list[Row]:
    """List the limits of a verdict's result, each with its candidates, the best first.

    A candidate's ``losses`` are those on held-out images after each of the verdict's ``ends``; None
    where it was not trained so far.
    """
    reached = {(row["genotype"], row["epochs"]): row["loss"] for row in verdict["judged"]}
    names = {choice["limit"]: choice["name"] for choice in verdict["choices"]}
    return [
        {
            "limit": contest["limit"],
            "name": names.get(contest["limit"]),
            "ends": verdict["ends"],
            "rows": [
                {
                    **row,
                    "losses": [reached.get((row["genotype"], end)) for end in verdict["ends"]],
                }
                for row in contest["ranking"]
            ],
        }
        for contest in verdict["candidates"]
    ]
