"""The SVG of an architecture: its parts, read back as XML."""

from xml.etree import ElementTree

import numpy as np
import pytest

from stnas.report.drawing import draw, line_width, links
from stnas.space import SearchSpace
from stnas.space.topology import edges_of

SVG = "{http://www.w3.org/2000/svg}"


def parts(text, kind):
    root = ElementTree.fromstring(text)
    return [element for element in root.iter() if kind in element.get("class", "").split()]


@pytest.mark.parametrize("profile", ["nano", "micro", "small", "parity", "imagenet"])
@pytest.mark.parametrize("p_drop", [0.0, 0.6, 1.0])
def test_every_node_and_kept_edge_is_drawn(profile, p_drop):
    space = SearchSpace.profile(profile)
    genotype = space.sample(1, p_drop=p_drop, seed=4)[0]
    text = draw(space, genotype, title="A")
    assert ElementTree.fromstring(text).tag == f"{SVG}svg"
    names = [element.text for element in parts(text, "node-label")]
    assert names == [f"v{i + 1}" for i in range(len(space.nodes))]
    assert len(parts(text, "stage")) == space.nodes[-1].stage + 1
    kept = [line.split()[-1] for line in space.describe(genotype)]
    assert len(parts(text, "edge")) == len(kept)
    labels = [element.text for element in parts(text, "edge-label")]
    assert labels == [name.replace("identity", "id") for name in kept]


def test_shares_are_those_of_the_cost_table():
    space = SearchSpace.profile("micro")
    genotype = space.sample(1, p_drop=0.3, seed=0)[0]
    total = int(space.madds(genotype[None])[0])
    kept = links(space, genotype)
    assert sum(link.madds for link in kept) == total - space.madds_cost.fixed
    for link in kept:
        assert link.share == link.madds / total
        (gene, choice), *_ = link.arc.when
        assert link.madds == space.madds_cost.table[gene, choice]


def test_short_jumps_rise_and_long_ones_hang():
    space = SearchSpace.profile("nano")
    for link in links(space, np.ones(space.num_genes, np.int8)):
        assert np.sign(link.lift) == {1: 0, 2: 1, 3: -1}[link.distance]


def test_long_names_of_a_chain_do_not_run_into_each_other():
    space = SearchSpace.profile("nano", family="spos", scales=(6, 16))
    text = draw(space, np.full(space.num_genes, 1, np.int8), title="A")
    places = [(float(e.get("x")), float(e.get("y"))) for e in parts(text, "edge-label")]
    assert {e.text for e in parts(text, "edge-label")} == {"shuffle3x1.6"}
    letters = 7 * len("shuffle3x1.6")
    for i, (x, y) in enumerate(places):
        assert all(abs(x - left) >= letters or abs(y - up) >= 12 for left, up in places[:i])


def test_a_resnet_has_no_convolution_before_its_mean():
    space = SearchSpace.profile("resnet18")
    text = draw(space, np.zeros(space.num_genes, np.int8), title="A")
    ends = [element.text for element in parts(text, "end-label")]
    assert ends == ["image", "224 px", "7x7 conv", "stride 2", "pool", "1000 cl."]


def test_tooltips_tell_operation_stride_and_cost():
    space = SearchSpace.profile("nano")
    text = draw(space, np.zeros(space.num_genes, np.int8), title="A")
    tips = [element.find(f"{SVG}title").text for element in parts(text, "edge")]
    assert tips[0].startswith("v1 \u2192 v2, stem, k3e1: ")
    assert ", stride 2: " in tips[1]
    assert all("multiply-adds (" in tip for tip in tips)


def test_identity_edges_are_marked():
    space = SearchSpace.profile("nano")
    genotype = np.zeros(space.num_genes, np.int8)
    genotype[0] = len(edges_of(space)[0].choices) - 1
    text = draw(space, genotype, title="A")
    assert len(parts(text, "identity")) == 1


def test_a_hostile_title_stays_text():
    space = SearchSpace.profile("nano")
    title = "</title><script>alert(1)</script>\"'&"
    root = ElementTree.fromstring(draw(space, np.zeros(space.num_genes, np.int8), title=title))
    assert root.find(f"{SVG}title").text == root.get("aria-label") == title
    assert root.find(f".//{SVG}script") is None


def test_wider_lines_cost_more():
    widths = [line_width(share) for share in (0.0, 0.01, 0.1, 1.0)]
    assert widths == sorted(set(widths))
    assert widths[0] > 0
