"""The first lines of the page: what was found, how sure that is, and what to do with it."""

import json
from collections.abc import Sequence
from math import isfinite
from shlex import quote

from markupsafe import Markup

from stnas.learn.comparison import Lead, leads, mean_lead
from stnas.report.load import Record, Row
from stnas.store.bench import SHOWN
from stnas.store.names import SETTINGS

_WORDS = {
    "madds": "multiply-adds",
    "params": "parameters",
    "latency": "nanoseconds",
    "bitops": "operations on bits",
}
_MEASURED = ("latency",)


def decision(record: Record) -> Row:
    """Return the lines that the page begins with; ``found`` is empty before networks are trained.

    found: a sentence for every chosen network. verdict: whether the search was worth it.
    """
    networks = {row["name"]: row for row in record.networks}
    known = leads(record.networks)
    truths = true_accuracies(record)
    return {
        "found": [
            *(sentence(networks[lead.name], lead, searched_by(record)) for lead in known),
            *(truths if known else []),
        ],
        "verdict": verdict(known),
        "use": use(f"{record.folder}/retrain/{known[-1].name}") if known else "",
        "again": again(record),
        "so_far": [] if known else [*truths, *so_far(record)],
    }


def true_accuracies(record: Record) -> list[str]:
    """Say what public tables know of the cell that a search by gradients derived."""
    search = record.results.get("search", {})
    return [
        f"The derived cell {search['choices'][0]['genotype']} on {SHOWN[row['table']]}, by "
        f"NAS-Bench-201: {100 * row['accuracy']:.2f} % of the validation images right after 200 "
        f"epochs, place {row['place']:,} of {row['cells']:,} cells, whose best has "
        f"{100 * row['best']:.2f} %."
        for row in search.get("truth", [])
    ]


def searched_by(record: Record) -> str:
    """Return the cost that the search minimised, which random networks beside choices share."""
    return str(record.setting("search.cost", "madds"))


def words_of(cost: str) -> str:
    """Name what a cost counts, for people."""
    return _WORDS.get(cost, cost)


def sentence(network: Row, lead: Lead, cost: str = "madds") -> str:
    """Say what a network is and reaches, beside what others of its size do.

    cost: what the random networks have as much of.
    """
    text = (
        f"Network {lead.name}: {100 * lead.accuracy:.2f} % of the test images right, with "
        f"{network['madds']:,} multiply-adds and {network['params']:,} parameters"
    )
    size = "its size"
    if cost not in ("madds", "params") and cost in network:
        text += f", {network[cost]:,} {words_of(cost)}"
        size = f"as many {words_of(cost)}"
    if lead.twins:
        mean = 100 * sum(lead.twins) / len(lead.twins)
        text += f"; random networks of {size}: {mean:.2f} % (mean of {len(lead.twins)})"
    if lead.hand_made is not None:
        best = 100 * lead.baselines[lead.hand_made]
        text += f"; the best hand-made one, {lead.hand_made}: {best:.2f} %"
    return f"{text}."


def verdict(known: Sequence[Lead]) -> str:
    """Say whether the search found more than chance gives, and more than people make by hand."""
    mean = mean_lead(known)
    if mean is None:
        return (
            "Whether the search was worth it is unknown: no random networks were trained beside. "
            "Run stnas retrain with --retrain.random_twins 3."
        )
    value, half = mean
    if not isfinite(half):
        text = (
            f"Found networks lead random ones of their size by {100 * value:+.2f} points, but one "
            "random network each cannot tell whether that is chance: --retrain.random_twins 3 can."
        )
    else:
        ends = f"{100 * (value - half):+.2f} to {100 * (value + half):+.2f}"
        sure = (
            "more than chance gives"
            if value > half
            else "which may be chance: it is not shown that the search was worth it"
        )
        text = (
            f"Found networks lead random ones of their size by {100 * value:+.2f} points on "
            f"average (95 %: {ends}), {sure}."
        )
    behind = [lead.name for lead in known if (lead.lead_over_hand_made or 0) < 0]
    if behind:
        text += f" A hand-made network of the same size is better than {' and '.join(behind)}."
    return text


def so_far(record: Record) -> list[str]:
    """Say how far a run has come whose networks are not trained yet."""
    lines = [f"Complete: {', '.join(record.results)}."]
    rows = [row for row in record.metrics if row.get("stage") not in record.results]
    if rows:
        last = rows[-1]
        unit = "generation" if "generation" in last else "epoch"
        network = f", network {last['network']}" if "network" in last else ""
        lines.append(f"Running: {last['stage']}{network}, {unit} {int(last.get(unit, 0)) + 1}.")
    if record.archive:
        best = min(record.archive, key=lambda row: row["loss"])
        lines.append(
            f"{len(record.archive):,} networks are evaluated; the least loss has "
            f"{best['genotype']} of {best['madds']:,} multiply-adds, with "
            f"{100 * best['accuracy']:.2f} % of the held-out images right under the shared weights."
        )
    return lines


def again(record: Record) -> str:
    """Return the command that makes the run once more."""
    config = quote(str(record.folder / SETTINGS))
    return f"stnas run --config {config} --run {quote(f'{record.folder}-again')}"


def use(path: str) -> str:
    """Return the five lines of Python that use a network."""
    return (
        "import stnas\n\n"
        f"model = stnas.load({path!r})\n"
        'for answer in model.predict(["photo.jpg"]):\n'
        "    print(answer.name, answer.probability)"
    )


def candidates(record: Record) -> Markup:
    """Return the evaluated architectures by rising cost, as JSON inside a script element.

    A row holds genotype, accuracy, loss and every cost, in the order of ``costs``.
    """
    rows: list[Row] = sorted(record.archive, key=lambda row: row["madds"])
    costs = [name for name in (*record.space.costs, *_MEASURED) if all(name in row for row in rows)]
    names = [(name, _WORDS.get(name, name)) for name in dict.fromkeys(costs)]
    kept = ("genotype", "accuracy", "loss", *(name for name, _ in names))
    found = {
        "retrain": f"stnas retrain --run {quote(str(record.folder))} --retrain.genotypes",
        "costs": [words for _, words in names],
        "rows": [[row[name] for name in kept] for row in rows],
    }
    return Markup(json.dumps(found).replace("<", "\\u003c"))
