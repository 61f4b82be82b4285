"""09: fail over within three seconds, and lose nothing on the way back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from gtlab.course import basket
from gtlab.course.exercises import Exercise, Setting, Wrong, check_outcome, described, function, last_calls, pair
from gtlab.course.router import Router
from gtlab.course.trial import Outcome, Trial, trial

_WANTS = "a pair of functions, (build, come_back)"
OBJECTIVE_S = 3.0  # the recovery time objective
_HELD_S = (1.0, 2.5)  # for how long nothing arrives in the Region that has come back


def _judge(answer: Any, setting: Setting) -> str:
    build, come_back = _given(answer)
    with trial(setting.seed, limit_s=setting.limit_s) as made:
        drill = _Drill(made, build)
        drill.write(2)
        made.settled()
        with made.lab.world.outage(drill.failed):
            recovery_s = drill.fail_over()
            drill.write(2)
            queue = made.lab.world.isolate(drill.failed)  # it answers again before its queue has arrived
        drill.write(1)
        held_s = made.random.uniform(*_HELD_S)
        release = threading.Timer(held_s, queue.mend)
        release.start()
        try:
            drill.come_back(come_back)
            release.cancel()  # whoever came back early writes before the queue arrives, on a slow machine too
            drill.write(2)
        finally:
            release.cancel()
            release.join()
            queue.mend()
        made.settled()
        drill.compare(held_s)
        drill.looked(held_s)
    return (f"Recovered after {recovery_s:.1f} s (objective: {OBJECTIVE_S:g} s), and all {len(drill.acknowledged)} "
            "acknowledged writes are in every Region.")


def _given(answer: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    build, come_back = pair(answer, _WANTS)
    return (function(build, "a function build(lab, table, homes) that returns a router", "lab", "table", "homes"),
            function(come_back, "a function come_back(router, region)", "router", "region"))


class _ReadyMade(Exception):
    """The learner's function called what it should do itself."""


def _ready_made(*_: Any, **__: Any) -> float:
    raise _ReadyMade


class _Drill:
    """The basket application in three Regions, with a user in each of them; the Region ``failed`` is taken down."""

    def __init__(self, made: Trial, build: Callable[..., Any]):
        self._made = made
        self.regions = made.lab.regions
        self.table = made.table(self.regions, key=("Customer",))
        self.homes = {made.word("user"): region for region in self.regions}
        self.failed = made.random.choice(self.regions)
        self.acknowledged: list[tuple[str, str, str]] = []  # user, product, the Region that acknowledged it
        outcome = made.run(build, made.lab, self.table, dict(self.homes))
        check_outcome(outcome, made.limit_s, "build")
        if not isinstance(outcome.value, Router):
            raise Wrong("no-router", f"build returned {described(outcome.value)}. Wanted: a router.Router of the "
                                     "stacks.")
        self.router = outcome.value
        served = set(self.router.stacks)
        if served != set(self.regions):
            raise Wrong("stacks", "The router needs a stack in every Region of the lab.", f"it has: "
                                                                                          f"{', '.join(served)}")
        if any(stack.table != self.table for stack in self.router.stacks.values()):
            raise Wrong("table", "The stacks use another table than the one that build was given.")

    def write(self, times: int) -> None:
        for _ in range(times):
            for user in self.homes:
                self.write_once(user)

    def write_once(self, user: str) -> None:
        product = self._made.word("product")
        outcome = self._send(user, product)
        if outcome.late or outcome.error is not None:
            raise self._silent(outcome)
        self.acknowledged.append((user, product, outcome.value.region))

    def _send(self, user: str, product: str) -> Outcome:
        return self._made.run(lambda: self.router.send("add", user, product=product, request=product))

    def fail_over(self) -> float:
        """The time until the user of the failed Region has a write acknowledged, in seconds."""
        user = next(user for user, home in self.homes.items() if home == self.failed)
        limit, self._made.limit_s = self._made.limit_s, min(self._made.limit_s, 2 * OBJECTIVE_S)
        began = time.monotonic()
        try:
            self.write_once(user)
        finally:
            self._made.limit_s = limit
        took_s = time.monotonic() - began
        if took_s > OBJECTIVE_S:
            raise Wrong("slow",
                        f"The recovery took {took_s:.1f} s; the objective is {OBJECTIVE_S:g} s. An outage is silence, "
                        "and only your own timeouts end it: the timeouts of the stacks' clients, times their attempts.",
                        f"the first write after the outage of {self.failed} was acknowledged in "
                        f"{self.acknowledged[-1][2]}, after {took_s:.1f} s")
        return took_s

    def _silent(self, outcome: Outcome) -> Wrong:
        if outcome.late:
            return Wrong("slow", f"No write was acknowledged within {2 * OBJECTIVE_S:g} s of the outage; the "
                                 f"objective is {OBJECTIVE_S:g} s. By default boto3 waits a minute for each of "
                                 "several attempts.",
                         last_calls(outcome.calls))
        return Wrong("refused", "A user's write was not acknowledged by any stack.", f"{outcome.error}")

    def come_back(self, come_back: Callable[..., Any]) -> None:
        lab, began = self._made.lab, time.monotonic()
        before = int(lab.events(kinds=["write"])["n"].max())
        setattr(self.router, "fail_back", _ready_made)  # noqa: B010 (mypy: a method is not assigned to)
        with lab.all_reads():
            outcome = self._made.run(come_back, self.router, self.failed)
        if isinstance(outcome.error, _ReadyMade):
            raise Wrong("ready-made", "fail_back does everything at once. Here the wait is the exercise: ask "
                                      "router.behind(region) until it lists nobody, then take the Region out of "
                                      "router.evacuated.", "come_back called router.fail_back")
        reads = lab.events(before, kinds=["read"], table=self.table)
        self._looked, self._waited_s = bool((reads["region"] == self.failed).any()), time.monotonic() - began
        check_outcome(outcome, self._made.limit_s, "come_back")
        if self.failed in self.router.evacuated:
            raise Wrong("stays-away",
                        f"{self.failed} works again, but the users are still sent elsewhere, a continent away. "
                        "Fail back to it.", f"still evacuated: {', '.join(self.router.evacuated)}")

    def looked(self, held_s: float) -> None:
        """Nothing was lost; but that was luck if nobody looked what had arrived in the Region."""
        if not self._looked:
            raise Wrong("blind", f"Nothing was lost this time, but by luck: the users went back after "
                                 f"{self._waited_s:.1f} s, and nobody had looked whether the newest baskets had "
                                 "arrived in the Region. A queue can be longer than any pause. Look, and wait until "
                                 "nobody is behind there.",
                        f"come_back read nothing in {self.failed}, whose queue arrived after {held_s:.1f} s")

    def compare(self, held_s: float) -> None:
        """Every acknowledged write is in the basket of its user, in every Region."""
        for region in self.regions:
            stack = basket.Stack(region, self._made.client(region), None, self.table)
            for user in self.homes:
                wanted = Counter(product for who, product, _ in self.acknowledged if who == user)
                found = Counter(stack.basket(user).products)
                if lost := sorted(wanted - found):
                    by = next(where for _, product, where in self.acknowledged if product == lost[0])
                    raise Wrong("early", f"{len(lost)} acknowledged writes of {user} are lost. The users went back "
                                         f"before the newest baskets had arrived in {self.failed}; the next write "
                                         "there was based on an old basket, and won. Wait until nobody is behind "
                                         "there.",
                                f"{lost[0]} was acknowledged in {by}, and is in no Region; the queue for "
                                f"{self.failed} arrived after {held_s:.1f} s")
                if found - wanted:
                    raise Wrong("twice", "A request was applied twice.", f"{min(found - wanted)} in {region}")


EXERCISE = Exercise(
    "09-failover-drill", "Fail over and come back", _WANTS,
    hints=(
        "What ends the silence of a Region that is down? And what must have arrived in a Region before its users "
        "return?",
        "router.stacks(lab, table=…, timeout_s=…) sets how long a stack waits for its Region. And "
        "router.behind(region) lists the users whose newest basket has not arrived there.",
        'build: Router(router.stacks(lab, table=table, timeout_s=0.5), homes, "your Region"). '
        "come_back: sleep a little while router.behind(region) lists anybody; then router.evacuated.discard(region)."),
    judge=_judge)
