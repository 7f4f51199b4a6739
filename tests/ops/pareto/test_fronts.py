"""The Pareto operators: known answers, their numpy twins, other packages, properties."""

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from stnas.ops import crowding_distance, hypervolume, nondominated_sort
from stnas.ops.pareto import reference as pareto_reference

COLUMNS = st.integers(1, 5)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def draws(count, *, objectives, largest):
    """Yield random sets: full of ties, without ties, and past the size where division begins."""
    random = np.random.default_rng([objectives, count])
    for draw in range(count):
        n = int(random.integers(0, largest if draw % 25 == 0 else 40))
        values = int(random.choice([2, 3, 5, 20, 10**6]))
        yield random.integers(0, values, (n, objectives)).astype(np.float64)


def points(*, columns=COLUMNS, elements=FINITE):
    """Draw float64 point sets of every shape, extremes and copies included."""
    shapes = st.tuples(st.integers(0, 30), columns)
    elements = st.one_of(st.integers(-3, 3).map(float), elements)
    return shapes.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=elements))


def fronts_to_ranks(fronts, n):
    ranks = np.full(n, -1)
    for rank, front in enumerate(fronts):
        ranks[front] = rank
    return ranks


@pytest.mark.parametrize(
    ("objectives", "ranks"),
    [
        ([[1, 3], [1, 2], [2, 1]], [1, 0, 0]),
        ([[1, 1], [1, 1], [2, 1], [1, 2], [2, 2]], [0, 0, 1, 1, 2]),
        ([[3], [1], [3], [2]], [2, 0, 2, 1]),
        ([[1, 2, 3], [3, 2, 1], [2, 2, 3], [1, 2, 3]], [0, 0, 1, 0]),
        ([[0, np.inf], [-np.inf, np.inf], [np.inf, -np.inf]], [1, 0, 0]),
        ([[0.0, 1.0], [-0.0, 1.0]], [0, 0]),
    ],
)
def test_known_ranks(objectives, ranks):
    found = nondominated_sort(np.array(objectives, dtype=np.float64))
    assert found.dtype == np.int64
    assert found.tolist() == ranks


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_ranks_equal_the_numpy_twin_and_moocore(objectives):
    for drawn in draws(600, objectives=objectives, largest=500):
        ranks = nondominated_sort(drawn)
        np.testing.assert_array_equal(ranks, pareto_reference.nondominated_sort(drawn))
        if len(drawn):
            np.testing.assert_array_equal(ranks, moocore.pareto_rank(drawn))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_ranks_equal_pymoo(objectives):
    for drawn in draws(200, objectives=objectives, largest=150):
        if len(drawn):
            expected = fronts_to_ranks(NonDominatedSorting().do(drawn), len(drawn))
            np.testing.assert_array_equal(nondominated_sort(drawn), expected)


@pytest.mark.parametrize("objectives", [3, 4, 6])
@pytest.mark.parametrize("values", [4, 30, 10**6])
def test_ranks_equal_moocore_where_division_goes_deep(objectives, values):
    random = np.random.default_rng([objectives, values])
    for n in (3000, 9000):
        drawn = random.integers(0, values, (n, objectives)).astype(np.float64)
        np.testing.assert_array_equal(nondominated_sort(drawn), moocore.pareto_rank(drawn))


@pytest.mark.parametrize("objectives", [2, 3])
def test_ranks_equal_moocore_beyond_16_bits(objectives):
    drawn = np.random.default_rng(objectives).random((70_000, objectives))
    drawn[:, 1:] = np.round(drawn[:, 1:], 3)
    np.testing.assert_array_equal(nondominated_sort(drawn), moocore.pareto_rank(drawn))


def test_a_chain_has_one_front_per_point():
    chain = np.repeat(np.arange(2000.0)[::-1, None], 3, axis=1)
    assert nondominated_sort(chain).tolist() == list(range(1999, -1, -1))


@given(points(elements=st.floats(allow_nan=False)), st.randoms(use_true_random=False))
def test_ranks_follow_their_points(objectives, random):
    order = list(range(len(objectives)))
    random.shuffle(order)
    ranks = nondominated_sort(objectives)
    np.testing.assert_array_equal(nondominated_sort(objectives[order]), ranks[order])
    np.testing.assert_array_equal(nondominated_sort(objectives[:, ::-1]), ranks)
    np.testing.assert_array_equal(ranks, pareto_reference.nondominated_sort(objectives))


def test_known_crowding():
    front = np.array([[0, 4], [1, 2], [2, 1], [4, 0]], dtype=np.float64)
    assert crowding_distance(front).tolist() == [np.inf, 2 / 4 + 3 / 4, 3 / 4 + 2 / 4, np.inf]


def test_copies_are_crowded_and_change_nothing_else():
    front = np.array([[0, 4], [1, 2], [1, 2], [0, 4], [2, 1], [4, 0]], dtype=np.float64)
    assert crowding_distance(front).tolist() == [np.inf, 1.25, 0, 0, 1.25, np.inf]


def test_an_objective_without_range_adds_nothing():
    front = np.array([[0, 7], [1, 7], [3, 7]], dtype=np.float64)
    assert crowding_distance(front).tolist() == [np.inf, 1.0, np.inf]


def test_points_equal_in_one_objective_are_neighbours_in_lexicographic_order():
    front = np.array([[1, 5], [1, 3], [0, 9], [4, 0], [1, 4]], dtype=np.float64)
    expected = [3 / 4 + 5 / 9, 1 / 4 + 4 / 9, np.inf, np.inf, 0 / 4 + 2 / 9]
    np.testing.assert_allclose(crowding_distance(front), expected, rtol=1e-15)


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_points_are_ends(n):
    assert crowding_distance(np.eye(2)[:n]).tolist() == [np.inf] * n


def test_crowding_survives_a_range_beyond_the_largest_double():
    front = np.array([[-1.7e308, 1], [0, 0.5], [1.7e308, 0]])
    assert crowding_distance(front).tolist() == [np.inf, 2.0, np.inf]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_crowding_equals_the_numpy_twin(objectives):
    for drawn in draws(600, objectives=objectives, largest=300):
        expected = pareto_reference.crowding_distance(drawn)
        np.testing.assert_allclose(crowding_distance(drawn), expected, rtol=1e-13)


@pytest.mark.parametrize("objectives", [2, 3, 5])
def test_crowding_is_pymoos_times_the_objectives(objectives):
    random = np.random.default_rng(objectives)
    for n in (2, 3, 10, 200):
        drawn = random.random((n, objectives))
        expected = calc_crowding_distance(drawn) * objectives
        np.testing.assert_allclose(crowding_distance(drawn), expected, rtol=1e-12)


@given(points(elements=st.floats(-1e6, 1e6)), st.randoms(use_true_random=False))
def test_crowding_follows_its_points(objectives, random):
    objectives = np.unique(objectives, axis=0)
    order = list(range(len(objectives)))
    random.shuffle(order)
    distances = crowding_distance(objectives)
    np.testing.assert_array_equal(crowding_distance(objectives[order]), distances[order])


@given(points())
def test_crowding_lies_between_zero_and_two_per_objective(objectives):
    distances = crowding_distance(objectives)
    inside = distances[np.isfinite(distances)]
    assert (inside >= 0).all()
    assert (inside <= 2 * objectives.shape[1]).all()
    assert np.isinf(distances).any() == bool(len(objectives))


def test_known_area():
    front = np.array([[1, 3], [2, 2], [3, 1], [2, 2], [3, 3], [9, 0]], dtype=np.float64)
    assert hypervolume(front, np.array([4.0, 4.0])) == 6.0


@pytest.mark.parametrize(
    ("objectives", "area"),
    [
        ([], 0.0),
        ([[4, 0]], 0.0),
        ([[0, 4]], 0.0),
        ([[5, 5]], 0.0),
        ([[3, 2]], 2.0),
        ([[np.inf, 0], [3, 3]], 1.0),
        ([[-np.inf, 0]], np.inf),
        ([[-1.7e308, -1.7e308]], np.inf),
    ],
)
def test_extreme_areas(objectives, area):
    drawn = np.array(objectives, dtype=np.float64).reshape(-1, 2)
    assert hypervolume(drawn, np.array([4.0, 4.0])) == area


def test_areas_equal_the_numpy_twin_and_moocore():
    for drawn in draws(1500, objectives=2, largest=300):
        reference = np.array([3.0, 4.0])
        area = hypervolume(drawn, reference)
        assert area == pytest.approx(pareto_reference.hypervolume(drawn, reference), rel=1e-12)
        if len(drawn):
            assert area == pytest.approx(moocore.hypervolume(drawn, ref=reference), rel=1e-12)


@given(points(columns=st.just(2), elements=st.floats(-100, 100)), st.floats(-100, 100))
def test_the_area_is_that_of_the_first_front_and_grows_with_the_reference(objectives, corner):
    reference = np.full(2, corner)
    area = hypervolume(objectives, reference)
    front = objectives[nondominated_sort(objectives) == 0]
    assert hypervolume(front, reference) == area
    assert hypervolume(objectives, reference + 1) >= area


def test_volumes_equal_moocore():
    for drawn in draws(1000, objectives=3, largest=300):
        reference = np.array([3.0, 4.0, 5.0])
        if len(drawn):
            expected = moocore.hypervolume(drawn, ref=reference)
            assert hypervolume(drawn, reference) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_volumes_of_scattered_points_equal_moocore(n):
    random = np.random.default_rng(n)
    for drawn in (random.random((n, 3)), random.dirichlet(np.ones(3), n)):
        expected = moocore.hypervolume(drawn, ref=np.ones(3))
        assert hypervolume(drawn, np.ones(3)) == pytest.approx(expected, rel=1e-11)


@given(points(columns=st.just(3), elements=st.floats(-100, 100)), st.floats(-100, 100))
def test_the_volume_is_that_of_the_first_front_in_any_order(objectives, corner):
    reference = np.full(3, corner)
    volume = hypervolume(objectives, reference)
    front = objectives[nondominated_sort(objectives) == 0]
    assert hypervolume(front, reference) == pytest.approx(volume, rel=1e-12)
    assert hypervolume(objectives[::-1, ::-1], reference) == pytest.approx(volume, rel=1e-9)
    flat = np.column_stack((objectives[:, :2], np.zeros(len(objectives))))
    area = hypervolume(objectives[:, :2], reference[:2])
    assert hypervolume(flat, np.array([corner, corner, 2.0])) == pytest.approx(2 * area, rel=1e-12)
