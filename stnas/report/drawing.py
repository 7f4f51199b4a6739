"""Draw an architecture as an SVG graph."""

from dataclasses import dataclass
from math import sqrt
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from stnas.space import Arc, Genotype, Node, Part, SearchSpace
from stnas.space.description import kind_of, label

STEP, RADIUS, MARGIN, HEADER = 72, 14, 100, 52
_ABOVE, _BELOW = 34, 30
_FITS = 9
"""Letters of a name that has room between two nodes."""


@dataclass(frozen=True)
class Link:
    """An arc that is present: what it is called, and its share of the network's MAdds.

    place: the nodes at its ends, with a number behind where others have the same. kind: class of
    its line, ``identity``, ``k3`` for a part with a kernel of 3, or ``part``.
    """

    arc: Arc
    place: str
    name: str
    title: str
    kind: str
    madds: int
    share: float

    @property
    def distance(self) -> int:
        """Return how many nodes it goes on by."""
        return self.arc.target - self.arc.source

    @property
    def lift(self) -> int:
        """Return the height of the arc: even distances rise, odd ones from 3 on hang down."""
        if self.distance == 1:
            return 0
        return _ABOVE * self.distance if self.distance % 2 == 0 else -_BELOW * self.distance


def links(space: SearchSpace, genotype: Genotype) -> list[Link]:
    """List the arcs of a genotype ``[genes]``, in order."""
    row = space.check_row(genotype)
    total = int(space.madds(row[None])[0])
    found = list[Link]()
    for arc in space.arcs_of(row):
        part = None if arc.part is None else space.parts[arc.part]
        layers = {} if part is None else part.layers(arc.option)
        cost = sum(layer.madds for layer in layers.values())
        place = f"{space.nodes[arc.source].name} \u2192 {space.nodes[arc.target].name}"
        beside = sum(link.arc[:2] == arc[:2] for link in found)
        stride = f", stride {part.stride}" if part is not None and part.stride > 1 else ""
        title = (
            f"{place}, {kind_of(space, arc)}, {label(space, arc)}{stride}: "
            f"{cost:,} multiply-adds ({cost / total:.1%})"
        )
        name = "id" if part is None else label(space, arc)
        place = f"{place} ({beside + 1})" if beside else place
        found.append(Link(arc, place, name, title, line_of(part), cost, cost / total))
    return found


def line_of(part: Part | None) -> str:
    """Return the class of a part's line: its kernel where it has one; ``identity`` without."""
    if part is None:
        return "identity"
    kernel = getattr(part, "kernel", None)
    return "part" if kernel is None else f"k{kernel}"


def legend(space: SearchSpace) -> list[tuple[str, str]]:
    """List the classes of lines that a space's parts have, each with its text."""
    kernels = sorted({part.kernel for part in space.parts.values() if hasattr(part, "kernel")})
    found = [(f"k{kernel}", f"{kernel}\u00d7{kernel}") for kernel in kernels]
    others = any(not hasattr(part, "kernel") for part in space.parts.values())
    return [*found, ("part", "other parts")] if others else found


def width_of(space: SearchSpace) -> int:
    """Return the width of the drawings of a space's architectures, in pixels."""
    return 2 * MARGIN + STEP * (len(space.nodes) - 1)


def draw(space: SearchSpace, genotype: Genotype, *, title: str) -> str:
    """Return the SVG of one architecture: neighbours along a line, others as arcs.

    Colour stands for the kernel size (dashed: identity), width for the share of the MAdds.
    """
    kept = links(space, genotype)
    middle = HEADER + max([16, *(link.lift for link in kept)]) * 3 // 4 + 26
    height = middle + max([16, *(-link.lift for link in kept)]) * 3 // 4 + 40
    width = width_of(space)
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "architecture",
            "role": "img",
            "viewBox": f"0 0 {width} {height}",
            "aria-label": title,
            "style": f"max-width:{width}px",
        },
    )
    SubElement(svg, "title").text = title
    _draw_stages(svg, space, height)
    _draw_ends(svg, space, middle, width)
    for link in sorted(kept, key=lambda link: -link.distance):
        _draw_link(svg, link, middle)
    for node in space.nodes:
        _draw_node(svg, node, middle)
    for link in kept:
        _draw_label(svg, link, middle)
    return ElementTree.tostring(svg, encoding="unicode")


def line_width(share: float) -> float:
    """Return the width in pixels ``1.2 + 11 sqrt(share)`` of an edge with a share of the MAdds."""
    return round(1.2 + 11 * sqrt(max(0.0, share)), 2)


def _x(index: int) -> int:
    """Return the place of a node on the line."""
    return MARGIN + STEP * index


def _draw_stages(svg: Element, space: SearchSpace, height: int) -> None:
    """Draw one band for each stage with its resolution and width."""
    for stage in range(space.nodes[-1].stage + 1):
        nodes = [node for node in space.nodes if node.stage == stage]
        left, right = _x(nodes[0].index) - STEP // 2 + 2, _x(nodes[-1].index) + STEP // 2 - 2
        SubElement(
            svg,
            "rect",
            {
                "class": f"stage s{stage % 6}",
                "x": str(left),
                "y": "2",
                "rx": "8",
                "width": str(right - left),
                "height": str(height - 4),
            },
        )
        size = nodes[0].resolution
        lines = (f"{size} \u00d7 {size}", f"{nodes[0].width} ch")
        for line, y in zip(lines, (20, 36), strict=True):
            _text(svg, (left + right) // 2, y, line, "stage-label")


def _draw_ends(svg: Element, space: SearchSpace, middle: int, width: int) -> None:
    """Draw the stem convolution before the first node and the tail behind the last."""
    head, last = space.head, _x(len(space.nodes) - 1)
    for x1, x2 in ((58, _x(0) - RADIUS), (last + RADIUS, width - 58)):
        SubElement(
            svg,
            "line",
            {"class": "wire", "x1": str(x1), "x2": str(x2), "y1": str(middle), "y2": str(middle)},
        )
    stem = f"{head.stem_kernel}x{head.stem_kernel} conv"
    before = ("image", f"{head.image_size} px", stem, f"stride {head.stem_stride}")
    behind: tuple[str, ...] = ("pool", f"{head.num_classes} cl.")
    if head.features == "convolution":
        behind = ("1x1 conv", f"{head.tail_width} ch", *behind)
    for x, lines in ((30, before), (width - 30, behind)):
        for number, line in enumerate(lines):
            _text(svg, x, middle - 18 + 14 * number, line, "end-label")


def _draw_link(svg: Element, link: Link, middle: int) -> None:
    """Draw one arc, with its numbers as a tooltip."""
    x1, x2 = _x(link.arc.source), _x(link.arc.target)
    bend = middle - link.lift
    path = SubElement(
        svg,
        "path",
        {
            "class": f"edge {link.kind}",
            "data-place": link.place,
            "stroke-width": str(line_width(link.share)),
            "d": f"M {x1} {middle} C {x1 + STEP // 3} {bend} {x2 - STEP // 3} {bend} {x2} {middle}",
        },
    )
    SubElement(path, "title").text = link.title


def _draw_node(svg: Element, node: Node, middle: int) -> None:
    """Draw one node with its name."""
    SubElement(
        svg,
        "circle",
        {
            "class": f"node s{node.stage % 6}",
            "cx": str(_x(node.index)),
            "cy": str(middle),
            "r": str(RADIUS),
        },
    )
    _text(svg, _x(node.index), middle + 4, node.name, "node-label")


def _draw_label(svg: Element, link: Link, middle: int) -> None:
    """Write the operation at the middle of the edge; a Bezier arc reaches 3/4 of its bend.

    Long names between neighbours stand clear of the nodes, above the line and below it in turn.
    """
    x = (_x(link.arc.source) + _x(link.arc.target)) // 2
    above = 5 + line_width(link.share) / 2
    y = middle - above if link.lift == 0 else middle - 0.75 * link.lift + 4
    if link.lift == 0 and len(link.name) > _FITS:
        y = middle + RADIUS + 14 if link.arc.source % 2 else middle - RADIUS - 6
    _text(svg, x, y, link.name, "edge-label")


def _text(svg: Element, x: float, y: float, text: str, kind: str) -> None:
    """Write centred text."""
    SubElement(svg, "text", {"class": kind, "x": str(x), "y": f"{y:.1f}"}).text = text
