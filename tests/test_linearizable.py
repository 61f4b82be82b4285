"""The linearizability checker, on histories whose verdict is known."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from gtlab.judging.linearizability import UNKNOWN, Operation, linearization


def register(state, what):
    """A register: ("write", value), ("read",), ("cas", old, new)."""
    kind, *values = what
    if kind == "read":
        return state, state
    if kind == "write":
        return values[0], None
    return (values[1], True) if state == values[0] else (state, False)


def queue(state, what):
    """A FIFO queue: ("enqueue", value), ("dequeue",)."""
    kind, *values = what
    if kind == "enqueue":
        return (*state, *values), None
    return (state[1:], state[0]) if state else (state, None)


def write(began: float, ended: float, value) -> Operation:
    return Operation(began, ended, ("write", value), None)


def read(began: float, ended: float, value) -> Operation:
    return Operation(began, ended, ("read",), value)


def enqueue(began: float, ended: float, value) -> Operation:
    return Operation(began, ended, ("enqueue", value), None)


def dequeue(began: float, ended: float, value) -> Operation:
    return Operation(began, ended, ("dequeue",), value)


# Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects" (1990), figures 1 and 2.
@pytest.mark.parametrize(("history", "object_", "initial", "good"), [
    ([enqueue(0, 3, "x"), enqueue(1, 2, "y"), dequeue(4, 6, "y"), dequeue(5, 7, "x")], queue, (), True),
    ([enqueue(0, 1, "x"), enqueue(2, 3, "y"), dequeue(4, 5, "y")], queue, (), False),
    ([enqueue(0, 5, "x"), dequeue(1, 2, "x")], queue, (), True),
    ([enqueue(0, 3, "x"), enqueue(1, 4, "y"), dequeue(5, 7, "y"), dequeue(6, 8, "y")], queue, (), False),
    ([write(0, 1, 0), write(2, 8, 1), read(3, 4, 1), write(5, 6, 0), read(9, 10, 0)], register, None, True),
    ([write(0, 1, 0), write(2, 8, 1), read(3, 4, 1), write(5, 6, 0), read(9, 10, 1)], register, None, False),
    # That of the README of the checker Porcupine: 200 is read only before the put of 100 has surely happened.
    ([write(0, 10, 100), read(2, 7, 100), read(3, 6, 0)], register, 0, True),
    ([write(0, 10, 200), read(2, 3, 200), read(4, 5, 0)], register, 0, False),
])
def test_histories_of_the_literature(history, object_, initial, good):
    assert (linearization(history, initial, object_) is not None) == good


def test_an_order_is_given_in_which_it_could_have_happened():
    history = [write(0, 10, 1), write(0, 10, 2), read(3, 4, 2), read(5, 6, 1)]
    assert [(*operation.what, operation.answer) for operation in linearization(history, 0, register)] == [
        ("write", 2, None), ("read", 2), ("write", 1, None), ("read", 1)]


def test_a_read_that_goes_back_is_no_good():
    assert linearization([write(0, 1, 1), write(0, 10, 2), read(2, 3, 2), read(4, 5, 1)], 0, register) is None


def test_of_two_compare_and_sets_from_one_value_only_one_succeeds():
    def both(first, second):
        return [Operation(0, 9, ("cas", 0, 1), first), Operation(0, 9, ("cas", 0, 2), second)]
    assert linearization(both(True, False), 0, register)
    assert linearization(both(True, True), 0, register) is None
    assert linearization(both(False, False), 0, register) is None


def test_what_nobody_was_answered_may_have_happened_late_or_never():
    lost = Operation(1, math.inf, ("write", 7), UNKNOWN)
    assert linearization([lost, read(100, 101, 7)], 0, register)
    assert linearization([lost, read(100, 101, 0)], 0, register)
    assert linearization([lost, read(100, 101, 0), read(102, 103, 7)], 0, register)
    assert linearization([lost, read(100, 101, 7), read(102, 103, 0)], 0, register) is None
    assert linearization([read(0, 0.5, 7), lost], 0, register) is None


def test_the_empty_history_and_one_of_lost_operations_alone_are_good():
    assert linearization([], 0, register) == []
    assert linearization([Operation(0, math.inf, ("write", 1))], 0, register) == []


def test_it_agrees_with_trying_every_order():
    chance = random.Random(20261124)
    verdicts = []
    for _ in range(400):
        history = []
        for _ in range(chance.randint(3, 6)):
            began = chance.randrange(12)
            ended = math.inf if chance.random() < 0.1 else began + chance.randint(0, 5)
            what = chance.choice([("write", chance.randrange(2)), ("read",), ("cas", 0, 1)])
            answer = {"write": None, "read": chance.randrange(2), "cas": chance.random() < 0.5}[what[0]]
            history.append(Operation(began, ended, what, answer if ended < math.inf else UNKNOWN))
        verdicts.append(linearization(history, 0, register) is not None)
        assert verdicts[-1] == by_trying(history), history
    assert 50 < sum(verdicts) < 350


def by_trying(history: list[Operation]) -> bool:
    """The definition itself: some of what was not answered, all the rest, in an order that keeps that of time."""
    answered = [operation for operation in history if operation.ended < math.inf]
    lost = [operation for operation in history if operation.ended == math.inf]
    for some in itertools.chain.from_iterable(itertools.combinations(lost, n) for n in range(len(lost) + 1)):
        for order in itertools.permutations([*answered, *some]):
            if any(later.ended < earlier.began for earlier, later in itertools.combinations(order, 2)):
                continue
            state, good = 0, True
            for operation in order:
                state, answer = register(state, operation.what)
                good = good and operation.answer in (UNKNOWN, answer)
            if good:
                return True
    return False


def test_a_long_history_is_judged():
    """Trying every order would take forever: three operations at a time overlap, three hundred times over."""
    chance, now, state, history = random.Random(1), 0.0, 0, []
    for number in range(300):
        now += chance.random()
        what = chance.choice([("write", number), ("read",)])
        state, answer = register(state, what)
        history.append(Operation(now - chance.random() * 3, now + chance.random() * 3, what, answer))
    assert len(linearization(history, 0, register)) == 300
    assert linearization([*history, read(now + 10, now + 11, -1)], 0, register) is None
