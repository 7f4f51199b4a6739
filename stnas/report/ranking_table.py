"""What the page says of a ranking in its tables."""

from stnas.report.confidence import shown_chain
from stnas.report.load import Ranking, Row
from stnas.report.ranking import FORMS, main_rows

_SIZES = {"madds": "multiply-adds", "params": "parameters", "bitops": "operations on bits"}
_NAME = ("way", "form", "statistics", "measure")
_PLAIN_AVERAGING = ("none", "parameters", "own", "accuracy")


def ranking_parts(ranking: Ranking) -> Row:
    """Return what the page says of a ranking: the rows of its tables, and how much was trained."""
    main = main_rows(ranking.table)
    references = [row for row in ranking.table if row["form"] in ("baseline", "ceiling")]
    others = [row for row in ranking.table if row not in main and row not in references]
    return {
        "main": [_estimate(row) for row in main],
        "references": [_estimate(row) for row in references],
        "others": [_estimate(row) for row in others],
        "failed": ranking.failed,
        "architectures": ranking.architectures,
        "trainings": sum(len(row["truth"]) for row in ranking.architectures),
        "chain": shown_chain(ranking),
    }


def _estimate(row: Row) -> Row:
    """Complete a row of the table with the words for it; None where a figure is not defined."""
    absent = ("spearman", "top_precision", "band_tau", "regret", "gain_low", "gain_high")
    known = {**dict.fromkeys((*absent, *_NAME), None), **row}
    recalibrated, way = known["statistics"] == "own", row["way"]
    return {
        **known,
        "name": f"{_SIZES.get(way, way)} alone" if row["form"] == "baseline" else way,
        "averaged": FORMS.get(row["form"], ""),
        "score": f"{known['measure']}{'' if recalibrated else ', not recalibrated'}",
        "compared": tuple(known[key] for key in _NAME) == _PLAIN_AVERAGING,
    }
