"""The predictions of 07_lose_nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab.course.predictions import NotMeasured, Option, Question, Truth
from gtlab.course.router import MODES


def _retry(counts: Any) -> Truth:
    """``counts``: how many ``attempts`` one call to boto3 made, and how many pieces were ``added``."""
    attempts, added = int(counts["attempts"]), int(counts["added"])
    option = {0: "none", 1: "one"}.get(added, "more")
    return Truth(option, f"botocore sent the request {attempts} times, and {added} pieces were added.")


def _condition(found: Any) -> Truth:
    """``found``: how many of two adds, one on each side of a cut, were ``accepted``, and the ``products`` that are
    left."""
    accepted, products = int(found["accepted"]), dict(found["products"])
    option = "refused" if accepted < 2 else "kept" if len(products) > 1 else "lost"
    return Truth(option, f"{accepted} of 2 adds were accepted; afterwards every Region shows {_words(products)}.")


def _modes(kept: Any) -> Truth:
    """``kept``: the products of each mode's basket after a cut, in which tea and milk were added."""
    if not isinstance(kept, Mapping) or set(kept) != set(MODES):
        raise NotMeasured("Pass the products that are left, by write mode.")
    losing = [mode for mode in MODES if set(kept[mode]) != {"tea", "milk"}]
    option = {(): "none", MODES[:1]: "any", MODES: "all"}.get(tuple(losing), "some")
    return Truth(option, "; ".join(f"{mode}: {_words(kept[mode])}" for mode in MODES) + ".")


def _again(counts: Any) -> Truth:
    """``counts``: the number of different ``requests``, one of which was sent to two Regions, and the ``total``."""
    requests, total = int(counts["requests"]), int(counts["total"])
    option = "once" if total == requests else "twice" if total == requests + 1 else "lost"
    return Truth(option, f"{requests} requests, one of which was sent to two Regions; the total is {total}.")


def _words(products: Mapping[str, int]) -> str:
    return " and ".join(f"{count} {name}" for name, count in sorted(products.items())) or "nothing"


QUESTIONS = (
    Question(
        "07-retry", "Your program calls update_item once (“one more piece”), with boto3's usual retries, and gets a "
                    "timeout. How many pieces were added?",
        {"none": Option("None: the call failed",
                        "The answer did not arrive in time. The request did, and it was carried out."),
         "one": Option("One: the request arrived, and only its answer was lost",
                       "boto3 does not give up after the first attempt. It sends the same request again."),
         "more": Option("More than one", "This time one attempt took effect at most.")},
        _retry,
        {"more": "botocore repeats a request that was not answered: in its standard mode it makes up to four attempts "
                 "for DynamoDB, in its legacy mode up to ten. It does so for writes, too, and each attempt took "
                 "effect.",
         "one": "Only one attempt took effect before the program gave up.",
         "none": "No attempt was carried out in time."},
        usual=("more",)),
    Question(
        "07-condition", "A version condition protects each of two adds, one on each side of a cut. What is in the "
                        "basket after the repair?",
        {"refused": Option("One product: the other add was refused, and its program knows it",
                           "No add was refused. In each Region the version was the one that its writer had read."),
         "kept": Option("Both products: the condition keeps them from overwriting each other",
                        "The condition was checked in each Region, before the other write arrived. Replication does "
                        "not check it."),
         "lost": Option("One product, although both adds were accepted",
                        "This time no product was lost: the second writer had seen the first write.")},
        _condition,
        {"lost": "A condition is checked once, in the Region that receives the call, against that Region's copy. It "
                 "passes on both sides of a cut, and then the last writer wins.",
         "kept": "The first write reached the other Region before the second add read the basket.",
         "refused": "The first write arrived between the read and the put of the second add."},
        usual=("lost",)),
    Question(
        "07-modes", "Which write modes lose a product when a customer writes on both sides of a cut?",
        {"all": Option("All three: no mode can do anything against a cut",
                       "A product is lost only if two Regions write the same item."),
         "any": Option("Only “any Region”", "Another set of modes lost a product in this run."),
         "some": Option("“Any Region” and “your Region”, because several Regions write in both",
                        "In “your Region” several Regions write, but never the same basket."),
         "none": Option("None: each stack has a version condition",
                        "The condition passes on both sides of the cut, as you have just seen.")},
        _modes,
        {"any": "In the other two modes one Region writes a basket, wherever the customer is. Its version condition "
                "sees every write, so nothing is overwritten unseen.",
         "none": "Nothing was cut, or replication was faster than the customer.",
         "some": "Some of the writes met although they should not have.",
         "all": "Each mode has lost a product."},
        usual=("any",)),
    Question(
        "07-again", "Each Region counts in an item of its own. A request gets no answer, and is sent again in another "
                    "Region. How often does it count?",
        {"once": Option("Once: the idempotency key is the same",
                        "The key is stored in the item of the first Region. The second one writes another item, and "
                        "does not look there."),
         "twice": Option("Twice", "This time it was counted once."),
         "lost": Option("Not at all: the two items conflict",
                        "Two items cannot conflict. Each is written in one Region only.")},
        _again,
        {"twice": "An item for each Region loses nothing, but it also cannot see what another Region has done already.",
         "once": "The second Region did not count it.",
         "lost": "Some requests are missing in the total."},
        usual=("twice",)),
)
