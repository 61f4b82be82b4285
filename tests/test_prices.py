"""The price file: known prices with their day and source, and upper bounds that say so."""

from __future__ import annotations

import datetime
import json
from importlib.resources import files

import pytest
from support import IRELAND, OHIO, SINGAPORE, VIRGINIA

from gtlab import prices, regions

BOOK = json.loads(files("gtlab").joinpath("data/prices.json").read_text(encoding="utf-8"))


def test_every_known_price_has_its_day_and_its_source():
    assert {VIRGINIA, IRELAND} <= BOOK["known"].keys() <= regions.REGIONS.keys()
    for region, known in BOOK["known"].items():
        assert datetime.date.fromisoformat(known["date"]) > datetime.date(2024, 10, 31), region  # before: other prices
        assert len(known["source"]) > 20 and known["write_per_million"] > known["read_per_million"] > 0


def test_a_known_price():
    found = prices.of(IRELAND)
    assert (found.write, found.read, found.storage) == pytest.approx((0.705e-6, 0.1415e-6, 0.283))
    assert found.bounds == () and found.date == "2026-09-11" and "price list" in found.source


def test_other_regions_have_an_upper_bound_that_says_so():
    found, basis = prices.of(SINGAPORE), prices.of(VIRGINIA)
    assert (found.write, found.read, found.storage) == pytest.approx((2 * basis.write, 2 * basis.read, 0.5))
    assert found.bounds == ("write", "read", "storage") and found.date == "" and found.source == ""
    partly = prices.of("ap-northeast-2")  # only its storage is not known
    assert partly.write == pytest.approx(0.68e-6) and partly.bounds == ("storage",)


def test_no_known_price_is_above_the_bound():
    """Otherwise the factor is no bound: raise it."""
    basis = prices.of(BOOK["others"]["of"])
    for region in BOOK["known"]:
        found = prices.of(region)
        assert found.write <= basis.write * BOOK["others"]["factor"]
        assert found.read <= basis.read * BOOK["others"]["factor"]


def test_the_words_say_which_prices_are_bounds():
    told = prices.words([VIRGINIA, OHIO, SINGAPORE, VIRGINIA])
    assert told == ("on-demand list prices of us-east-1 of 2024-11-01; for us-east-2, ap-southeast-1 an upper bound, "
                    "2 times us-east-1; data transfer is not included")
    assert "upper bound" not in prices.words([VIRGINIA, IRELAND])


def test_a_region_that_does_not_exist():
    with pytest.raises(ValueError, match="'mars' is not a Region"):
        prices.of("mars")
