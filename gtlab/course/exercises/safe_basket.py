"""07: a basket that loses no write, whatever is cut, and counts no request twice."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from gtlab.course.exercises import Exercise, Setting, Wrong, check_outcome, described, function, pair
from gtlab.course.trial import Trial, trial

_WANTS = "a pair of functions, (add, basket)"
_ADD = ("client", "region", "table", "customer", "product", "request")
_BASKET = ("client", "table", "customer")
_PAIRS = 3  # of requests at the same moment
_READS = {"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems", "ExecuteStatement"}
_TOGETHER_S = 0.5
PRODUCTS = ("tea", "milk", "bread", "salt")


@dataclass(frozen=True)
class _Request:
    """A customer's request. ``at``: the Regions whose stack got it; several times if it was sent again."""

    name: str
    customer: str
    product: str
    at: tuple[str, ...]
    cut: bool


def _judge(answer: Any, setting: Setting) -> str:
    add, basket = _given(answer)
    with trial(setting.seed, limit_s=setting.limit_s) as made:
        where = made.regions(2)
        table = made.table(where, key=("Customer", "Part"))
        asked = _requests(made, where)
        _send(made, add, table, [each for each in asked if not each.cut])
        made.settled()
        with made.cut(*where):
            _send(made, add, table, [each for each in asked if each.cut])
        made.settled()
        for region in where:
            for customer in sorted({each.customer for each in asked}):
                _look(made, basket, table, region, [each for each in asked if each.customer == customer])
        at_once = _at_the_same_moment(made, add, basket, table, where)
    twice = sum(len(each.at) > 1 for each in asked)
    return (f"{len(asked)} requests, {sum(each.cut for each in asked)} of them through a cut and {twice} sent twice: "
            f"both Regions show each of them once, as they do for {at_once} that arrived in pairs at the same moment.")


def _look(made: Trial, basket: Any, table: str, region: str, asked: list[_Request]) -> None:
    """Compare the basket of a customer, as a Region shows it, with what the customer asked for. Raises Wrong."""
    outcome = made.run(basket, made.client(region), table, asked[0].customer)
    check_outcome(outcome, made.limit_s, "basket")
    found = _counts(outcome.value)
    if found != Counter(each.product for each in asked):
        raise _explain(made, table, region, asked, found)


def _at_the_same_moment(made: Trial, add: Any, basket: Any, table: str, where: tuple[str, ...]) -> int:
    """Send requests of one customer to one Region in pairs, of which both have read before either of them writes."""
    customer, region = made.word("customer"), made.random.choice(where)
    asked: list[_Request] = []
    for _ in range(_PAIRS):
        two = [_Request(made.word("request"), customer, made.random.choice(PRODUCTS), (region,), False)
               for _ in range(2)]
        with _read_together(made.client(region)), ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: _send(made, add, table, [each]), two))
        asked += two
    made.settled()
    try:
        _look(made, basket, table, region, asked)
    except Wrong as wrong:
        if wrong.tag != "missed":
            raise
        raise Wrong("same-moment", f"Two requests of a customer arrived in {region} at the same moment. Both read the "
                                   "same item, and the second put replaced what the first one had written.",
                    wrong.evidence) from None
    return len(asked)


@contextlib.contextmanager
def _read_together(client: Any) -> Iterator[None]:
    """Hold back the first answer to a read in each of two threads, until both have read or one of them writes only."""
    both, done = threading.Barrier(2), set[int]()

    def hold(model: Any, **_: Any) -> None:
        me = threading.get_ident()
        if me not in done:
            done.add(me)
            if model.name in _READS:
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait(_TOGETHER_S)

    client.meta.events.register("after-call.dynamodb.*", hold)
    try:
        yield
    finally:
        client.meta.events.unregister("after-call.dynamodb.*", hold)


def _given(answer: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    add, basket = pair(answer, _WANTS)
    return (function(add, f"a function add({', '.join(_ADD)})", *_ADD),
            function(basket, f"a function basket({', '.join(_BASKET)}) that returns product → count", *_BASKET))


def _requests(made: Trial, where: tuple[str, ...]) -> list[_Request]:
    """Two customers, who write in both Regions, before a cut and during it. Each writes on both sides of it."""
    chance, found = made.random, []
    customers = [made.word("customer") for _ in range(2)]
    for cut in (False, True):
        for customer in customers:
            for region in (*where, chance.choice(where)):
                found.append(_Request(made.word("request"), customer, chance.choice(PRODUCTS), (region,), cut))
    for number, again in enumerate(chance.sample(range(len(found)), 3)):
        each = found[again]
        other = next(region for region in where if region != each.at[0])
        # One is sent again in the other Region, as after a timeout; the others in the same one.
        found[again] = replace(each, at=(each.at[0], other if number == 0 else each.at[0]))
    return found


def _send(made: Trial, add: Any, table: str, asked: list[_Request]) -> None:
    for each in asked:
        for region in each.at:
            outcome = made.run(add, made.client(region), region, table, each.customer, each.product, each.name)
            check_outcome(outcome, made.limit_s, "add")
            if not outcome.calls:
                raise Wrong("no-call", "add made no call with the client that it was given. Does it use the notebook's "
                                       "clients instead of its arguments?", f"request {each.name} in {region}")


def _counts(value: Any) -> Counter[str]:
    if value is None:
        raise Wrong("returns-none", "basket returned nothing. Does it end with return?")
    if not isinstance(value, Mapping):
        raise Wrong("wrong-type", f"basket returned {described(value)}. Wanted: a dict of product to count.")
    found: Counter[str] = Counter()
    for product, count in value.items():
        if not isinstance(product, str) or isinstance(count, bool) or not isinstance(count, int):
            raise Wrong("wrong-type", f"basket returned {described(product)}: {described(count)}. Wanted: a dict of "
                                      "product to count, such as {'tea': 2}.")
        if count:
            found[product] = count
    return found


def _explain(made: Trial, table: str, region: str, asked: list[_Request], found: Counter[str]) -> Wrong:
    """What is wrong with the basket that a Region shows of a customer."""
    wanted = Counter(each.product for each in asked)
    shown = f"{region} shows {dict(found)}, wanted: {dict(wanted)}"
    if strange := set(found) - set(wanted):
        return Wrong("strange", f"Nobody has added {min(strange)}.", shown)
    events = made.lab.events(table=table)
    lost = events[events["kind"].eq("discarded") & events["conflict"].eq(True)]
    if wanted - found:
        product = min(wanted - found)
        if not lost.empty:
            each = lost.iloc[-1]
            request = next((one for one in asked if one.cut and one.product == product and each["source"] in one.at),
                           next(one for one in asked if one.product == product))
            return Wrong("overwritten", f"A write was lost: request {request.name} ({product}) was acknowledged in "
                                        f"{request.at[0]}, and nobody will see it again. Both Regions wrote the same "
                                        "item during the cut, and the newer write wins the whole item. A condition "
                                        "does not help, because each Region checks it against its own copy.",
                         f"{shown}\nthe journal: {each['key']} from {each['source']} was discarded in "
                         f"{each['region']}; {each['lost_to']} wrote {each['by_ms']:.0f} ms later")
        return Wrong("missed", f"{product} is missing, and no write was overwritten by another Region: add did not "
                               "write it, or basket does not read all the items.", shown)
    product = min(found - wanted)
    again = [each for each in asked if len(each.at) > 1 and each.product == product]
    if again and len(set(again[0].at)) > 1 and found[product] - wanted[product] == 1:
        return Wrong("twice-elsewhere", f"Request {again[0].name} ({product}) was sent again in the other Region, as a "
                                        "client does after a timeout. It was counted in both: each Region remembered "
                                        "only its own requests.", shown)
    return Wrong("twice", f"There is too much {product} in the basket. A request that was sent twice was counted "
                          "twice. The request's name is the idempotency key: the same name is the same request.", shown)


EXERCISE = Exercise(
    "07-safe-basket", "Lose no write, count none twice", _WANTS,
    hints=(
        "Two Regions write during a cut. Which items may both of them write without losing anything? And how does a "
        "Region know that a request has been carried out already?",
        "The table has the key (Customer, Part), and you choose what Part is. If each request has an item of its own, "
        "then no two requests write the same item, and the same request always writes the same one.",
        'add: put_item with Item={"Customer": …, "Part": {"S": request}, "Product": {"S": product}}. '
        "basket: query all items of the customer, and count their products."),
    judge=_judge)
