"""Draw an architecture as an SVG graph."""

from dataclasses import dataclass
from math import sqrt
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from stnas.space import Genotype, SearchSpace
from stnas.space.graph import Edge, Node, Operation

STEP, RADIUS, MARGIN, HEADER = 72, 14, 100, 52
_ABOVE, _BELOW = 34, 30


@dataclass(frozen=True)
class Link:
    """An edge that is present: its operation and its share of the network's MAdds."""

    edge: Edge
    operation: Operation
    madds: int
    share: float

    @property
    def label(self) -> str:
        """Return what is written beside the edge."""
        return "id" if self.operation.kind == "identity" else self.operation.name

    @property
    def lift(self) -> int:
        """Return the height of the arc: even distances rise, odd ones from 3 on hang down."""
        distance = self.edge.distance
        if distance == 1:
            return 0
        return _ABOVE * distance if distance % 2 == 0 else -_BELOW * distance


def links(space: SearchSpace, genotype: Genotype) -> list[Link]:
    """List the edges that a genotype ``[genes]`` keeps, in gene order."""
    row = space.check(genotype[None])[0]
    total = int(space.madds(row[None])[0])
    costs = (int(space.madds_table[edge.index, row[edge.index]]) for edge in space.edges)
    return [
        Link(edge, edge.choices[row[edge.index]], cost, cost / total)
        for edge, cost in zip(space.edges, costs, strict=True)
        if edge.choices[row[edge.index]].kind != "none"
    ]


def draw(space: SearchSpace, genotype: Genotype, *, title: str) -> str:
    """Return the SVG of one architecture: stem edges along a line, branch edges as arcs.

    Colour stands for the kernel size (dashed: identity), width for the share of the MAdds.
    """
    kept = links(space, genotype)
    middle = HEADER + max([16, *(link.lift for link in kept)]) * 3 // 4 + 26
    height = middle + max([16, *(-link.lift for link in kept)]) * 3 // 4 + 40
    width = 2 * MARGIN + STEP * (len(space.nodes) - 1)
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "architecture",
            "role": "img",
            "viewBox": f"0 0 {width} {height}",
            "aria-label": title,
            "style": f"min-width:{7 * width // 10}px;max-width:{width}px",
        },
    )
    SubElement(svg, "title").text = title
    _draw_stages(svg, space, height)
    _draw_ends(svg, space, middle, width)
    for link in sorted(kept, key=lambda link: -link.edge.distance):
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
    for stage in range(len(space.spec.stages)):
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
    spec, last = space.spec, _x(len(space.nodes) - 1)
    for x1, x2 in ((58, _x(0) - RADIUS), (last + RADIUS, width - 58)):
        SubElement(
            svg,
            "line",
            {"class": "wire", "x1": str(x1), "x2": str(x2), "y1": str(middle), "y2": str(middle)},
        )
    ends = (
        (30, ("image", f"{spec.image_size} px", "3x3 conv", f"stride {spec.stem_stride}")),
        (width - 30, ("1x1 conv", f"{spec.tail_width} ch", "pool", f"{spec.num_classes} cl.")),
    )
    for x, lines in ends:
        for number, line in enumerate(lines):
            _text(svg, x, middle - 18 + 14 * number, line, "end-label")


def _draw_link(svg: Element, link: Link, middle: int) -> None:
    """Draw one edge as a line or an arc, with its numbers as a tooltip."""
    kind = "identity" if link.operation.kind == "identity" else f"k{link.operation.kernel}"
    x1, x2 = _x(link.edge.source), _x(link.edge.target)
    bend = middle - link.lift
    path = SubElement(
        svg,
        "path",
        {
            "class": f"edge {kind}",
            "stroke-width": str(line_width(link.share)),
            "d": f"M {x1} {middle} C {x1 + STEP // 3} {bend} {x2 - STEP // 3} {bend} {x2} {middle}",
        },
    )
    stride = f", stride {link.edge.stride}" if link.edge.stride > 1 else ""
    SubElement(path, "title").text = (
        f"{link.edge.name.replace('->', ' → ')}, {link.edge.kind}, {link.operation.name}{stride}: "
        f"{link.madds:,} MAdds ({link.share:.1%})"
    )


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
    """Write the operation at the middle of the edge; a Bezier arc reaches 3/4 of its bend."""
    x = (_x(link.edge.source) + _x(link.edge.target)) // 2
    above = 5 + line_width(link.share) / 2
    y = middle - above if link.lift == 0 else middle - 0.75 * link.lift + 4
    _text(svg, x, y, link.label, "edge-label")


def _text(svg: Element, x: float, y: float, text: str, kind: str) -> None:
    """Write centred text."""
    SubElement(svg, "text", {"class": kind, "x": str(x), "y": f"{y:.1f}"}).text = text
