"""What the Pareto operators refuse, and the layouts that they take."""

import numpy as np
import pytest

from stnas.ops import crowding_distance, hypervolume, nondominated_sort

FRONT = np.array([[0, 4], [1, 2], [2, 1], [4, 0]], dtype=np.float64)
CORNER = np.array([5.0, 5.0])


def area(objectives):
    return hypervolume(objectives, CORNER)


OPERATORS = pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("nondominated_sort", nondominated_sort),
        ("crowding_distance", crowding_distance),
        ("hypervolume", area),
    ],
    ids=["sort", "crowding", "area"],
)


@OPERATORS
@pytest.mark.parametrize(
    ("objectives", "kind"),
    [
        (FRONT.tolist(), "list"),
        (FRONT.astype(np.float32), "float32"),
        (FRONT.astype(np.int64), "int64"),
        (FRONT.astype(">f8"), ">f8"),
        (FRONT.astype(object), "object"),
        (None, "NoneType"),
    ],
)
def test_another_kind_is_refused(name, operator, objectives, kind):
    message = f"{name}: objectives must be a numpy array of float64, got {kind}"
    with pytest.raises(TypeError, match=message):
        operator(objectives)


@OPERATORS
@pytest.mark.parametrize("shape", [(), (4,), (2, 2, 2)], ids=str)
def test_another_number_of_axes_is_refused(name, operator, shape):
    with pytest.raises(ValueError, match=f"{name}: objectives must have 2 axes"):
        operator(np.zeros(shape))


@OPERATORS
def test_nan_is_refused_and_placed(name, operator):
    objectives = FRONT.copy()
    objectives[2, 1] = np.nan
    with pytest.raises(ValueError, match=f"{name}: objectives must .* at row 2, column 1"):
        operator(objectives)


@pytest.mark.parametrize("operator", [nondominated_sort, crowding_distance])
def test_no_objectives_are_refused(operator):
    with pytest.raises(ValueError, match="at least one column, got 0"):
        operator(np.empty((3, 0)))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_crowding_refuses_infinities(value):
    with pytest.raises(ValueError, match=r"must be finite, got -?inf at row 0, column 1"):
        crowding_distance(np.array([[0, value]]))


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ([5.0, 5.0], TypeError, "reference must be a numpy array of float64, got list"),
        (np.array([5, 5]), TypeError, "reference must be a numpy array of float64, got int64"),
        (CORNER[None], ValueError, "reference must have 1 axes"),
        (np.zeros(3), ValueError, "reference must have 2 objectives as the points do, got 3"),
        (np.array([5.0, np.nan]), ValueError, "reference must hold no NaN.*column 1"),
    ],
)
def test_another_reference_is_refused(reference, error, message):
    with pytest.raises(error, match=message):
        hypervolume(FRONT, reference)


@OPERATORS
def test_no_points_give_an_empty_result(name, operator):
    assert np.size(operator(np.empty((0, 2)))) == (1 if name == "hypervolume" else 0)


def packed(array):
    """Return the same values one byte off every alignment."""
    memory = np.zeros(array.nbytes + 1, dtype=np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[:] = array
    assert not view.flags.aligned
    return view


@OPERATORS
@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, packed, lambda array: np.repeat(array, 2, axis=0)[::2]],
    ids=["columns", "packed", "strided"],
)
def test_every_layout_gives_the_same(name, operator, layout):
    np.testing.assert_array_equal(operator(layout(FRONT)), operator(FRONT))


@OPERATORS
def test_arguments_are_read_only(name, operator):
    objectives = FRONT.copy()
    objectives.flags.writeable = False
    operator(objectives)
    np.testing.assert_array_equal(objectives, FRONT)


@pytest.mark.parametrize("objectives", [1, 4])
def test_a_volume_has_two_or_three_objectives(objectives):
    with pytest.raises(ValueError, match=f"must have 2 or 3 objectives, got {objectives}"):
        hypervolume(np.zeros((3, objectives)), np.ones(objectives))
