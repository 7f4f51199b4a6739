"""Which runs ``stnas runs`` lists, compares or deletes."""

from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules

Order = Literal["changed", "name", "accuracy", "size"]
Answer = Literal["table", "csv", "json"]


@dataclass(frozen=True)
class RunsOptions:
    """Which runs, and what is done about them."""

    folder: str = "runs"
    """Folder that holds run folders, three levels deep at most, or a run folder; may stand without
    its option."""
    sort: Order = "changed"
    """Order of the list: the last changed first, by name, the most accurate or the largest
    first."""
    compare: tuple[str, ...] = ()
    """Runs to compare, as the list names them: their networks, and the options that differ."""
    delete: tuple[str, ...] = ()
    """Runs to delete, as the list names them, after a question."""
    yes: bool = False
    """Whether runs are deleted without a question."""
    answer: Answer = "table"
    """Form of the list or of the comparison, whose options csv leaves out."""

    def __post_init__(self) -> None:
        """Check the options."""
        rules.one_of("sort", self.sort, get_args(Order))
        rules.one_of("answer", self.answer, get_args(Answer))
        rules.require(len(self.compare) != 1, "compare", "two runs or more", list(self.compare))
        if self.compare and self.delete:
            raise ValueError(
                "delete must be left out with compare, got both: compare first, then delete"
            )
