"""Processes of a group share values, work and errors, and none waits for ever."""

import os
import time

import torch

from stnas.group import processes
from stnas.group.processes import ProcessGroup, current, led


def test_a_process_alone_needs_no_group():
    group = ProcessGroup()
    vector = torch.arange(3.0)
    group.sum_(vector)
    group.spread_([vector])
    group.agree("anything", "x")
    assert vector.tolist() == [0, 1, 2]
    assert group.first(lambda: 7) == 7
    assert group.gather("a") == ["a"]
    assert list(group.take(3)) == [0, 1, 2]


def values(rank):
    return torch.randn(1001, generator=torch.Generator().manual_seed(rank))


def summed(group):
    vector = values(group.rank)
    group.sum_(vector)
    return vector.tolist()


def test_a_sum_adds_by_halves_and_is_the_same_bits_everywhere(in_processes):
    expected = (values(0) + values(1)) + (values(2) + values(3))
    assert in_processes(4, summed) == [expected.tolist()] * 4
    three = in_processes(3, summed)
    assert three[0] == three[1] == three[2]
    torch.testing.assert_close(torch.tensor(three[0]), values(0) + values(1) + values(2))


def shared(group):
    tensor = torch.full((2, 3), float(group.rank)).T
    group.spread_([tensor])
    alone = group.first(lambda: (group.rank, current().size, led(os.getpid)() == os.getpid()))
    assert current() is group
    return tensor.unique().tolist(), alone, group.gather(group.rank**2)


def test_the_leader_speaks_for_all_as_if_alone(in_processes):
    assert in_processes(2, shared) == [([0.0], (0, 1, True), [0, 1])] * 2


def taken(group):
    found = []
    for number in group.take(20):
        found.append(number)
        time.sleep(0.2 if group.rank == 0 else 0.001)
    again = list(group.take(2))
    return found, again


def test_an_idle_process_takes_the_next_unit(in_processes):
    (slow, first), (fast, second) = in_processes(2, taken)
    assert sorted(slow + fast) == list(range(20))
    assert len(slow) < 4
    assert sorted(first + second) == [0, 1]


def refused(group):
    def refuse():
        raise FileNotFoundError("no such run")

    group.first(refuse)


def test_an_error_of_the_leader_ends_all_and_is_told_once(in_processes):
    first, second = in_processes(2, refused)
    assert first == "FileNotFoundError: no such run"
    assert second == "SystemExit: 1"


def failing(group):
    if group.rank == 2:
        raise ValueError("a bad image")
    group.sum_(torch.ones(2))


def test_a_process_that_fails_ends_the_others_with_its_rank_and_cause(in_processes):
    first, second, third = in_processes(3, failing)
    assert first == "PeerError: rank 2: a bad image"
    assert second == "SystemExit: 1"
    assert third == "RuntimeError: rank 2: a bad image"


def hanging(group):
    if group.rank == 1:
        time.sleep(2)
        return
    group.sum_(torch.ones(2))


def test_a_process_that_hangs_is_named_after_the_timeout(in_processes, monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 0.5)
    first, _, third = in_processes(3, hanging, timeout=1)
    assert "PeerError: rank 1 was lost, or did not answer within 1 s" in first
    assert third == "SystemExit: 1"


def differing(group):
    group.agree("the weights", "odd" if group.rank == 1 else "same")


def test_a_process_that_differs_is_named(in_processes):
    first, _, third = in_processes(3, differing)
    assert "the weights must be the same in all processes, got others in rank 1 than" in first
    # Who hears of it last may find the group's store gone with the process that held it.
    ends = ("SystemExit: 1", "RuntimeError: rank 2", "DistNetworkError")
    assert third.startswith(ends)


def alone_with(group):
    def work(number):
        time.sleep(0.05)
        assert current().size == 1
        return number**2, group.rank

    found = group.share(8, work)
    assert current() is group
    return [value for value, _ in found], {rank for _, rank in found}, group.share(0, work)


def test_pieces_of_work_are_each_done_once_and_told_to_all(in_processes):
    assert ProcessGroup().share(3, lambda number: -number) == [0, -1, -2]
    assert in_processes(2, alone_with) == [([n**2 for n in range(8)], {0, 1}, [])] * 2


def test_a_piece_of_work_may_outlast_the_timeout(in_processes):
    def work(group):
        return group.share(1, lambda number: time.sleep(3.0) or "done")

    assert in_processes(2, work, timeout=1.5) == [["done"]] * 2


def test_a_piece_of_work_that_fails_ends_those_that_wait(in_processes):
    def work(group):
        def piece(number):
            raise ValueError(f"piece {number} cannot be done")

        return group.share(1, piece)

    told = in_processes(2, work)
    assert sum("piece 0 cannot be done" in text for text in told) >= 1
    assert all(isinstance(text, str) for text in told)
