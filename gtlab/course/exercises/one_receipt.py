"""08: each order is receipted exactly once, through a failover too."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from gtlab.course.exercises import Exercise, Setting, Wrong, check_outcome, described, function
from gtlab.course.trial import Trial, trial

_ARGUMENTS = ("record", "region", "serving", "client", "table", "send")
_WANTS = f"a function on_record({', '.join(_ARGUMENTS)})"
_MEETING_S = 2.0  # how long a write waits for the other one
_WRITES = ("UpdateItem", "PutItem", "TransactWriteItems", "DeleteItem", "BatchWriteItem")


class _Sent(NamedTuple):
    order: str
    region: str
    when: str  # "usual", "failover", "back" or "twice"


class _Consumers:
    """The consumers of three Regions' streams. Each calls the learner's function for every record."""

    def __init__(self, made: Trial, on_record: Any):
        self.made, self._on_record = made, on_record
        self.regions = made.regions(3)
        self.table = made.table(self.regions)
        self.serving = list(self.regions)
        self.when = "usual"
        self.sent: list[_Sent] = []
        self.orders: dict[str, str] = {}  # order → the Region that took it
        self.writes = 0
        self.changed = False  # whether a customer has changed the order that is delivered twice
        self._read = dict.fromkeys(self.regions, 0)

    def order(self, region: str) -> str:
        """A customer orders in a Region."""
        name = self.made.word("order")
        self.made.client(region).put_item(TableName=self.table, Item={
            "id": {"S": name}, "TakenIn": {"S": region}, "Product": {"S": "tea"}})
        self.orders[name] = region
        return name

    def work(self) -> None:
        """The consumers in service read on until nothing is new; what they write is replicated."""
        for _ in range(4):
            new = 0
            for region in self.serving:
                records = self.made.records(self.table, region)
                for record in records[self._read[region]:]:
                    self._call(record, region)
                    new += 1
                self._read[region] = len(records)
            self._settle()
            if not new:
                return

    def deliver_twice(self) -> str:
        """Each consumer gets the record of a new order twice at the same moment, as two instances of a Lambda function
        may. Both have read before one of them writes, and in between a customer changes the order."""
        self.when = "twice"
        name = self.order(self.made.random.choice(self.regions))
        self.made.settled()
        for region in self.serving:
            records = self.made.records(self.table, region)
            for record in records[self._read[region]:]:
                with self._meeting(region, name) as meeting, ThreadPoolExecutor(2) as two:
                    for outcome in [two.submit(self._call, record, region, meeting) for _ in range(2)]:
                        outcome.result()
            self._read[region] = len(records)
        self._settle()
        return name

    @contextlib.contextmanager
    def _meeting(self, region: str, order: str) -> Iterator[threading.Barrier]:
        """For a block of code, the first write of each of two threads waits for that of the other one."""
        customer = self.made.lab.new_client(region)

        def change() -> None:
            self.changed = True
            customer.update_item(TableName=self.table, Key={"id": {"S": order}}, UpdateExpression="SET Note = :note",
                                 ExpressionAttributeValues={":note": {"S": "a gift"}})

        meeting, met = threading.Barrier(2, change), set[int]()

        def wait(model: Any, **_: Any) -> None:
            if model.name in _WRITES and threading.get_ident() not in met:
                met.add(threading.get_ident())
                with contextlib.suppress(threading.BrokenBarrierError):
                    meeting.wait(_MEETING_S)

        events = self.made.client(region).meta.events
        events.register("before-call.dynamodb.*", wait)
        try:
            yield meeting
        finally:
            events.unregister("before-call.dynamodb.*", wait)
            customer.close()

    def replay(self) -> None:
        """Start reading again from the beginning, as after a failover: nobody knows what the others had done."""
        for region in self.serving:
            self._read[region] = 0

    def _call(self, record: dict[str, Any], region: str, meeting: threading.Barrier | None = None) -> None:
        def send(order: Any) -> None:
            self.sent.append(_Sent(order if isinstance(order, str) else repr(order), region, self.when))

        client = self.made.client(region)
        outcome = self.made.run(self._on_record, record, region, list(self.serving), client, self.table, send)
        if meeting:
            meeting.abort()  # the other call need not wait for this one any more
        if outcome.error is not None and record["eventName"] == "REMOVE" and isinstance(outcome.error, KeyError):
            raise Wrong("remove", "A customer cancelled an order: the item was deleted, and its record has no "
                                  "NewImage. Your function raised KeyError.", outcome.where or "KeyError")
        check_outcome(outcome, self.made.limit_s, "on_record")
        self.writes += sum(call.operation in _WRITES for call in outcome.calls)

    def _settle(self) -> None:
        if len(self.serving) == len(self.regions):
            self.made.settled()
        else:  # what waits for the Region that is cut off has to wait
            def contents(region: str) -> list[dict[str, Any]]:
                return self.made.items(self.table, region)

            self.made.until(lambda: contents(self.serving[0]) == contents(self.serving[1]), "replication")


def _judge(answer: Any, setting: Setting) -> str:
    on_record = function(answer, _WANTS, *_ARGUMENTS)
    with trial(setting.seed, limit_s=setting.limit_s) as made:
        shop = _Consumers(made, on_record)
        usual = [shop.order(region) for region in (*shop.regions, made.random.choice(shop.regions))]
        made.settled()
        shop.work()
        _compare(shop, usual)
        cancelled = made.random.choice(usual)
        made.client(shop.orders[cancelled]).delete_item(TableName=shop.table, Key={"id": {"S": cancelled}})
        made.settled()
        shop.work()

        failed = made.random.choice(shop.regions)
        waiting = shop.order(failed)  # replicated, but the Region fails before its consumer reads it
        made.settled()
        with made.lab.world.isolate(failed):
            late = shop.order(failed)  # nobody else gets it before the Region is back
            all_serving, shop.serving = shop.serving, [region for region in shop.regions if region != failed]
            shop.when = "failover"
            elsewhere = shop.order(made.random.choice(shop.serving))
            shop.made.until(lambda: elsewhere in {item["id"]["S"] for region in shop.serving
                                                  for item in made.items(shop.table, region)}, "replication")
            shop._settle()
            shop.replay()
            shop.work()
            _compare(shop, [*usual, waiting, elsewhere], failed)
        made.settled()
        shop.serving, shop.when = all_serving, "back"
        shop.work()
        _compare(shop, [*usual, waiting, elsewhere, late], failed)
        twice = shop.deliver_twice()
        shop.work()
        _compare(shop, [twice])
        _not_overwritten(shop, twice)
    if not shop.writes:
        raise Wrong("memory", "All receipts were right, but your function has written nothing down. It remembers in "
                              "this kernel what it has sent. The consumers of three Regions are three programs, and "
                              "one that starts again has forgotten everything.", "no write call in any Region")
    return f"{len(shop.orders)} orders, {len(shop.sent)} receipts, through a failover and back."


def _compare(shop: _Consumers, orders: list[str], failed: str = "") -> None:
    counts = Counter(each.order for each in shop.sent)
    for name in counts:
        if name not in shop.orders:
            raise Wrong("unknown", f"A receipt was sent for {described(name)}, which is no order. Send the id, as a "
                                   "string.")
    for name in orders:
        sent = [each for each in shop.sent if each.order == name]
        shown = (f"order {name}, taken in {shop.orders[name]}; receipts: "
                 + (", ".join(f"{each.region} ({each.when})" for each in sent) or "none"))
        if len(sent) > 1:
            raise _too_many(sent, shown)
        if not sent:
            raise _none(shop, name, failed, shown)


def _too_many(sent: list[_Sent], shown: str) -> Wrong:
    usual = [each for each in sent if each.when == "usual"]
    if sent[0].when == "twice" and len({each.region for each in sent}) == 1:
        return Wrong("no-condition", "The same record was delivered twice at the same moment. Both calls found no "
                                     "mark, both wrote one, and both sent a receipt. Set the mark with a condition: "
                                     "only if there is none yet.", shown)
    if len({each.region for each in usual}) > 1:
        return Wrong("each-region", "An order is in the stream of every Region, so every consumer sent a receipt. "
                                    "One Region has to be responsible for it.", shown)
    if len(usual) > 1:
        return Wrong("again", "The same Region sent two receipts for one order. A change of the item, such as a mark "
                              "that your own function wrote, is a record, too.", shown)
    if sent[-1].when == "failover":
        return Wrong("replay", "A consumer that takes over reads its stream again, from the beginning, and sent a "
                               "receipt that had been sent. Write it down where all Regions see it, and look before "
                               "you send.", shown)
    return Wrong("back", "The Region that had failed came back, read on where it had stopped, and sent a receipt "
                         "that another Region had sent for it. Look for the mark in the table, not in the old "
                         "record.", shown)


def _not_overwritten(shop: _Consumers, name: str) -> None:
    region = shop.orders[name]
    item = next((item for item in shop.made.items(shop.table, region) if item.get("id") == {"S": name}), {})
    if lost := sorted({"Product", "TakenIn"} - set(item)) or (["Note"] if shop.changed and "Note" not in item else []):
        raise Wrong("overwritten", "A customer changed the order between your read and your write. Your put wrote the "
                                   "whole item as it had been, and the change is lost. Write only your own attribute, "
                                   "with update_item.", f"order {name} in {region} has no {', '.join(lost)} any more")


def _none(shop: _Consumers, name: str, failed: str, shown: str) -> Wrong:
    if shop.when == "usual" or not failed:
        return Wrong("missed", "An order got no receipt, although nothing had failed.", shown)
    if shop.when == "back" and shop.orders[name] == failed:
        return Wrong("late-order", "This order was taken just before its Region failed. It is there again now, in "
                                   "every Region, and no consumer has sent its receipt.", shown)
    if shop.orders[name] == failed:
        return Wrong("lost-in-failover", f"{failed} took this order and failed before its consumer saw it. A filter "
                                         "by Region sends one receipt, but nobody takes over for a Region that fails. "
                                         "`serving` lists the Regions that work.", shown)
    return Wrong("only-one-region", "This order got no receipt while a Region was down. Is one fixed Region "
                                    "responsible for all orders? It may be the one that fails.", shown)


EXERCISE = Exercise(
    "08-one-receipt", "One receipt for each order", _WANTS,
    hints=(
        "Every Region's stream shows every order. Which Region should send the receipt? And which one, if that Region "
        "fails?",
        "Responsible is the Region in TakenIn, or the first one in `serving` if that one does not work. Before it "
        "sends, it marks the order in the table, with a condition: only if there is no mark yet.",
        'client.update_item(…, UpdateExpression="SET Receipt = :region", ConditionExpression="attribute_exists(id) AND '
        'attribute_not_exists(Receipt)"); send only if this is accepted. '
        "Records without NewImage, or with Receipt in it, need nothing."),
    judge=_judge)
