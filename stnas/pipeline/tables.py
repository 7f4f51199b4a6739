"""What a notebook shows of a run, as HTML."""

from collections.abc import Sequence
from html import escape
from statistics import fmean

from stnas.learn.comparison import Lead
from stnas.store.console import percent, points
from stnas.store.rows import NetworkRow

NETWORKS = ("network", "role", "MAdds", "parameters", "test accuracy", "genotype")
LEADS = ("network", "test accuracy", "random networks, mean", "lead, points (95 %)", "hand-made")


def run_html(lines: Sequence[str], networks: Sequence[NetworkRow], found: Sequence[Lead]) -> str:
    """Return some lines, the trained networks, and how far the chosen ones lead."""
    parts = [f"<p>{escape(line)}</p>" for line in lines]
    if networks:
        parts.append(table(NETWORKS, [network_row(row) for row in networks]))
    if found:
        parts.append(table(LEADS, [lead_row(lead) for lead in found]))
    return "".join(parts)


def network_row(row: NetworkRow) -> tuple[str, ...]:
    """Return the cells of a network."""
    sizes = (f"{row['madds']:,}", f"{row['params']:,}")
    return (row["name"], row["role"], *sizes, percent(row["test_accuracy"]), row["genotype"])


def lead_row(lead: Lead) -> tuple[str, ...]:
    """Return the cells of a lead."""
    best = lead.hand_made
    return (
        lead.name,
        percent(lead.accuracy),
        percent(fmean(lead.twins)) if lead.twins else "-",
        points(lead.lead, lead.half),
        "-" if best is None else f"{best} {percent(lead.baselines[best])}",
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table; every text is escaped."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
