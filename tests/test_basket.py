"""The basket application in three Regions of a local cloud: write modes, protections, failover and fail-back."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest
from support import IRELAND, SINGAPORE, VIRGINIA, regions_with_table, wait_until

from gtlab import connect
from gtlab.course import stages
from gtlab.course.basket import Stack
from gtlab.course.router import MODES, Router, stacks
from gtlab.failover import NoRegionAnswered
from gtlab.lab import Lab, events
from gtlab.localcloud import process
from gtlab.widgets.traffic import Traffic

pytestmark = pytest.mark.server
ANY, ONE, YOURS = MODES
TRIO = (SINGAPORE, VIRGINIA, IRELAND)


@pytest.fixture(scope="module")
def lab(cloud) -> Lab:
    made = connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
    stages.ensure_baskets(made)
    return made


@pytest.fixture
def shop(lab) -> Iterator[dict[str, Stack]]:
    """The stacks. A generous timeout: an outage of these tests refuses connections, and so needs none."""
    lab.world.reset()  # another test may have left something broken in this process's cloud
    wait_until(lambda: not process.status(process.find())["deliveries_waiting"], "what it wrote to arrive, or to lose")
    made = stacks(lab, timeout_s=20)
    yield made
    lab.world.reset()


@pytest.fixture
def ann(request) -> str:
    """A user of the test's own, also when it is run again: a basket knows the requests that it has had."""
    return f"Ann {uuid.uuid4().hex} of {request.node.name}"


def settled(shop: dict[str, Stack], user: str) -> dict[str, int]:
    """The products of a user's basket, once all Regions agree."""
    def agreed() -> list:
        baskets = [stack.basket(user) for stack in shop.values()]
        return baskets[:1] if all(each == baskets[0] for each in baskets) else []
    return wait_until(agreed, "the Regions to agree")[0].products


def on_both_sides(lab: Lab, router: Router, user: str) -> list[str]:
    """The user adds tea at home and milk while travelling, with the cable cut. Returns the Regions that answered."""
    with lab.world.partition(SINGAPORE, VIRGINIA):
        return [router.send("add", user, product=product, request=product, at=at).region
                for product, at in (("tea", SINGAPORE), ("milk", VIRGINIA))]


@pytest.mark.parametrize(("mode", "wrote", "kept"), [
    (ANY, [SINGAPORE, VIRGINIA], {"milk": 1}),  # both version conditions held, each in its own Region
    (ONE, [SINGAPORE, SINGAPORE], {"tea": 1, "milk": 1}),
    (YOURS, [SINGAPORE, SINGAPORE], {"tea": 1, "milk": 1}),
])
def test_only_one_write_mode_loses_a_product_in_a_partition(lab, shop, ann, mode, wrote, kept):
    router = Router(shop, {ann: SINGAPORE}, mode, writer=SINGAPORE)
    assert on_both_sides(lab, router, ann) == wrote
    assert settled(shop, ann) == kept


def test_modes_differ_in_who_answers(shop):
    homes = {"Ann": SINGAPORE, "Ben": IRELAND}
    def answering(mode: str, at: str = "") -> list[list[str]]:
        router = Router(shop, homes, mode, writer=VIRGINIA)
        return [[router.order_of(user, what, at)[0] for what in ("basket", "add")] for user in homes]
    assert answering(ANY) == answering(YOURS) == [[SINGAPORE] * 2, [IRELAND] * 2]
    assert answering(ONE) == [[SINGAPORE, VIRGINIA], [IRELAND, VIRGINIA]]
    assert answering(ANY, at=VIRGINIA) == [[VIRGINIA] * 2] * 2
    assert answering(YOURS, at=VIRGINIA) == [[SINGAPORE] * 2, [IRELAND] * 2]
    assert Router(shop, homes, ONE, VIRGINIA).routes()[1] == {
        "user": "Ben", "home": IRELAND, "reads": IRELAND, "writes": VIRGINIA}


def test_a_request_that_is_sent_twice_counts_once_unless_the_key_is_ignored(lab, shop, ann):
    for _ in range(2):
        shop[SINGAPORE].add(ann, "tea", "r1")
    assert settled(shop, ann) == {"tea": 1}
    careless = stacks(lab, timeout_s=20, idempotency_key=False)[SINGAPORE]
    careless.add(ann, "tea", "r1")
    assert careless.basket(ann).products == {"tea": 2}


def at_once(stack: Stack, user: str, products: list[str]) -> dict[str, int]:
    """Add products from as many threads, all of which read the basket before any writes it."""
    read, meet = stack.basket, threading.Barrier(len(products))
    met = threading.local()

    def basket(user: str):
        found = read(user)
        if not hasattr(met, "once"):
            met.once = meet.wait(30)
        return found

    stack.basket = basket
    threads = [threading.Thread(target=stack.add, args=(user, product, product)) for product in products]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return read(user).products


@pytest.mark.parametrize("condition", [True, False])
def test_the_version_condition_keeps_requests_of_one_region_apart(lab, shop, ann, condition):
    stack = stacks(lab, timeout_s=20, version_condition=condition)[SINGAPORE]
    found = at_once(stack, ann, ["tea", "milk", "rice"])
    assert len(found) == (3 if condition else 1)


def test_a_basket_that_is_deleted_before_the_write_does_not_come_back(lab, shop, ann):
    stack, deleted = stacks(lab, timeout_s=20)[SINGAPORE], []
    stack.add(ann, "tea", "r1")
    read = stack.basket

    def basket(user):
        found = read(user)
        if not deleted:
            deleted.append(lab.client(SINGAPORE).delete_item(TableName="Baskets", Key={"Customer": {"S": user}}))
        return found

    stack.basket = basket
    stack.add(ann, "milk", "r2")
    assert read(ann).products == {"milk": 1} and read(ann).version == 1


@pytest.mark.parametrize("mode", MODES)
def test_users_of_a_region_that_is_down_are_routed_to_another_stack_which_uses_its_own_endpoint(lab, shop, ann, mode):
    router = Router(shop, {ann: SINGAPORE}, mode, writer=SINGAPORE)
    router.send("add", ann, product="tea", request="r1")
    assert settled(shop, ann) == {"tea": 1}
    near = router.order_of(ann, "add")[1]
    with lab.world.outage(SINGAPORE, how="refused"):
        answer = router.send("add", ann, product="milk", request="r2")
        assert answer.region == near and [region for region, _ in answer.failures] == [SINGAPORE]
        assert answer.response.written_in == near and answer.response.products == {"tea": 1, "milk": 1}
        assert router.send("basket", ann).failures == ()  # no request tries the failed Region again
    assert router.evacuated == {SINGAPORE}
    assert router.send("add", ann, product="rice", request="r3").region == near  # nor when it is back
    router.fail_back(SINGAPORE)
    assert router.evacuated == set()
    assert router.send("add", ann, product="salt", request="r4").region == SINGAPORE
    assert settled(shop, ann) == {"tea": 1, "milk": 1, "rice": 1, "salt": 1}
    assert [(row["region"], row["failed"]) for row in router.log] == [
        (SINGAPORE, []), (near, [SINGAPORE]), (near, []), (near, []), (SINGAPORE, [])]


def test_fail_back_waits_for_the_queue_and_going_back_early_loses_what_is_in_it(lab, shop, ann):
    router = Router(shop, {ann: SINGAPORE}, YOURS)
    router.evacuate(SINGAPORE)
    with lab.world.isolate(SINGAPORE):
        there = router.send("add", ann, product="tea", request="r1").region
        assert there != SINGAPORE and router.behind(SINGAPORE) == [ann]
        with pytest.raises(TimeoutError, match=f"{SINGAPORE} stays evacuated.*{ann}"):
            router.fail_back(SINGAPORE, timeout_s=0)
        assert router.evacuated == {SINGAPORE}
        router.fail_back(SINGAPORE, early=True)
        router.send("add", ann, product="milk", request="r2")
    assert settled(shop, ann) == {"milk": 1}


def test_fail_back_after_the_queue_loses_nothing(lab, shop, ann):
    router = Router(shop, {ann: SINGAPORE}, YOURS)
    router.evacuate(SINGAPORE)
    cut = lab.world.isolate(SINGAPORE)
    router.send("add", ann, product="tea", request="r1")
    threading.Timer(0.5, cut.mend).start()
    router.fail_back(SINGAPORE, timeout_s=60)
    assert router.behind(SINGAPORE) == []
    router.send("add", ann, product="milk", request="r2")
    assert settled(shop, ann) == {"tea": 1, "milk": 1}


def drawn(lab: Lab, after: int) -> Traffic:
    """The live view's drawing of table Baskets since an event."""
    traffic = Traffic(lab.regions, "Baskets")
    for event in events.pages(lab._control, 0):
        if event["n"] > after or event["kind"] == "join":
            traffic.see(event)
    return traffic


@pytest.mark.parametrize(("mode", "sources"), [(ANY, set(TRIO)), (ONE, {IRELAND}), (YOURS, set(TRIO))])
def test_the_live_view_shows_where_a_mode_writes(lab, shop, mode, sources):
    homes = {f"{region} {mode}": region for region in TRIO}
    router, before = Router(shop, homes, mode, writer=IRELAND), int(lab.events()["n"].max())
    for user in homes:
        router.send("add", user, product="tea", request="r1", at="")
    assert {source for _, source, *_ in drawn(lab, before).batch()["flights"]} == sources


def test_the_live_view_shows_the_failover_and_the_basket_that_lost(lab, shop, ann):
    router, before = Router(shop, {ann: SINGAPORE}, YOURS), int(lab.events()["n"].max())
    router.evacuate(SINGAPORE)
    with lab.world.isolate(SINGAPORE):
        there = router.send("add", ann, product="tea", request="r1").region
        router.fail_back(SINGAPORE, early=True)
        router.send("add", ann, product="milk", request="r2")
        third = next(region for region in TRIO if region not in (SINGAPORE, there))
        wait_until(lambda: shop[third].basket(ann).products, "the tea to arrive there, before it can lose there, too")

    def lost() -> dict[tuple[str, str], int]:
        links = drawn(lab, before).state()["links"]
        return {(source, target): count for source, target, *_, count in links if count}
    assert wait_until(lost, "the basket that lost") == {(there, SINGAPORE): 1}
    assert any("Singapore" in each["text"] for each in drawn(lab, before).batch()["words"])


def test_every_regions_consumer_sends_a_receipt_for_one_order(shop, ann):
    for stack in shop.values():
        stack.changes()
    shop[SINGAPORE].add(ann, "tea", "r1")
    shop[SINGAPORE].order(ann, "o1")
    receipts: dict[str, list[str]] = {region: [] for region in shop}

    def sent() -> bool:
        for region, stack in shop.items():
            receipts[region] += stack.receipts()
        return all(receipts.values())
    wait_until(sent, "a receipt from each Region")
    assert receipts == {region: ["o1"] for region in TRIO}
    assert not any(stack.receipts() for stack in shop.values())


def test_what_makes_no_sense_is_refused_with_what_is_allowed(lab, shop):
    with pytest.raises(ValueError, match=r"no write mode 'all'. Choose one of: any Region, one Region, your Region"):
        Router(shop, {}, "all")
    with pytest.raises(ValueError, match="Region 'eu-west-3' has no stack"):
        Router(shop, {"Ann": "eu-west-3"})
    router = Router(shop, {"Ann": SINGAPORE})
    with pytest.raises(ValueError, match=r"no user 'Bob'. The users are: Ann"):
        router.send("basket", "Bob")
    router.evacuate(SINGAPORE)
    router.evacuate(VIRGINIA)
    with pytest.raises(ValueError, match="last Region"):
        router.evacuate(IRELAND)
    with lab.world.outage(IRELAND, how="refused"), pytest.raises(NoRegionAnswered):
        router.send("basket", "Ann")


def test_both_modules_can_be_read_in_one_sitting():
    from gtlab.course import basket, router
    for module in (basket, router):
        assert len(open(module.__file__).readlines()) < 150


def test_the_table_is_created_in_the_background_until_a_call_waits():
    with process.throwaway("fast"):
        made = connect(home="eu-north-1", replicas=["sa-east-1", "ap-south-1"])
        stages.ensure_baskets(made, wait=False)

        def listed() -> set[str]:
            described = made.client(made.home).describe_table(TableName="Baskets")["Table"]
            return {entry["RegionName"] for entry in described.get("Replicas", [])}
        wait_until(lambda: listed() == set(made.replicas), "both replicas to be begun")
        stages.ensure_baskets(made)
        assert regions_with_table(made, "Baskets") == set(made.regions)
