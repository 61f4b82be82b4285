"""The Region catalogue: complete, truthful about round trips, and helpful about mistakes."""

import subprocess
import sys
from itertools import pairwise

import pytest

from gtlab import regions


def test_every_region_has_a_place_and_a_name():
    assert len(regions.REGIONS) == 33
    for code, region in regions.REGIONS.items():
        assert region.code == code
        assert region.name and region.place and region.country
        assert -60 < region.latitude < 70 and -180 < region.longitude < 180


def test_names_are_those_of_aws():
    assert regions.get("ap-southeast-1").name == "Asia Pacific (Singapore)"
    botocore = pytest.importorskip("botocore.session")
    partition = botocore.get_session().get_data("endpoints")["partitions"][0]["regions"]
    assert len(partition.keys() & regions.REGIONS) > 25
    for code, region in regions.REGIONS.items():
        # An older botocore may not know the newest Region.
        assert region.name == partition.get(code, {"description": region.name})["description"]


def test_a_region_cannot_be_changed():
    with pytest.raises(AttributeError):
        regions.get("eu-west-1").place = "Cork"


@pytest.mark.parametrize("percentile", [50, 90])
def test_there_is_a_round_trip_for_every_pair(percentile):
    for a in regions.REGIONS:
        for b in regions.REGIONS:
            low, high = (1, 15) if a == b else (1.5, 500)
            assert low < regions.rtt_ms(a, b, percentile) < high


def test_catalogue_order_is_that_of_the_matrix():
    assert list(regions.REGIONS) == list(regions._rtt_matrix(50)) == list(regions._rtt_matrix(90))


def test_a_round_trip_is_read_from_source_to_target():
    assert regions.rtt_ms("me-south-1", "us-west-2") == 262.89
    assert regions.rtt_ms("us-west-2", "me-south-1") == 214.9


def test_p90_is_not_the_median():
    assert regions.rtt_ms("ap-southeast-1", "us-east-1", 90) > regions.rtt_ms("ap-southeast-1", "us-east-1")


def test_another_percentile_is_refused():
    with pytest.raises(ValueError, match=r"99.*50 \(median\) and 90 only"):
        regions.rtt_ms("us-east-1", "us-west-2", 99)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("eu-west-9", "eu-west-1"),
        ("US-EAST-1", "us-east-1 = US East (N. Virginia)"),
        ("us-east1", "us-east-1"),
        ("Frankfurt", "eu-central-1"),
        ("n. virginia", "us-east-1"),
        ("ireland", "eu-west-1 = Europe (Ireland)"),
    ],
)
def test_an_unknown_region_is_told_what_was_meant_and_where_to_look(written, meant):
    with pytest.raises(regions.UnknownRegion) as caught:
        regions.get(written)
    text = str(caught.value)
    assert repr(written) in text and meant in text
    assert all(code in text for code in regions.REGIONS)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("nonsense", ["zzzz", "", None, 5, ["us-east-1"]])
def test_nonsense_is_refused_without_a_guess(nonsense):
    with pytest.raises(regions.UnknownRegion, match="is not a Region that gtlab knows") as caught:
        regions.get(nonsense)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "us-east-1, eu-west-1",
        " us-east-1 eu-west-1 ",
        "us-east-1,,eu-west-1,",
        "us-east-1\neu-west-1",
        [" us-east-1", "eu-west-1 "],
        ("us-east-1", "eu-west-1"),
        (code for code in ("us-east-1", "eu-west-1")),
    ],
)
def test_parse_accepts_what_people_write(given):
    assert regions.parse(given) == ["us-east-1", "eu-west-1"]


def test_parse_keeps_the_order():
    assert regions.parse("us-west-2,ap-south-1,eu-west-1") == ["us-west-2", "ap-south-1", "eu-west-1"]


def test_parse_refuses_unknown_and_duplicate_codes():
    with pytest.raises(regions.UnknownRegion, match="'eu-wset-1'"):
        regions.parse("us-east-1, eu-wset-1")
    with pytest.raises(ValueError, match="us-east-1 is given twice"):
        regions.parse("us-east-1, eu-west-1, us-east-1")


def test_parse_counts():
    assert regions.parse("") == []
    assert regions.parse("us-east-1,eu-west-1", at_least=2) == ["us-east-1", "eu-west-1"]
    with pytest.raises(ValueError, match=r"At least 2 Regions are needed; you gave 1: us-east-1\."):
        regions.parse("us-east-1", at_least=2)
    with pytest.raises(ValueError, match=r"At least 1 Region is needed; you gave 0: none\."):
        regions.parse([], at_least=1)


def test_frame_has_the_home_first_and_round_trips_from_home():
    frame = regions.frame("ap-southeast-1", "us-east-1, eu-west-1")
    assert list(frame.columns) == ["region", "place", "country", "latitude", "longitude", "role", "rtt_ms"]
    assert list(frame["region"]) == ["ap-southeast-1", "us-east-1", "eu-west-1"]
    assert list(frame["role"]) == ["home", "replica", "replica"]
    assert list(frame["rtt_ms"])[1:] == [219.0, 179.08]


def test_frame_refuses_home_among_the_replicas():
    with pytest.raises(ValueError, match="us-east-1 is the home Region and also among the replicas"):
        regions.frame("us-east-1", ["eu-west-1", "us-east-1"])


def test_label():
    assert regions.label("ap-southeast-1") == "Singapore (ap-southeast-1)"
    with pytest.raises(regions.UnknownRegion):
        regions.label("mars-1")


def test_land_is_closed_rings_without_antarctica_or_jumps():
    rings = regions.land_rings()
    assert len(rings) > 80
    for ring in rings:
        assert ring[0] == ring[-1]
        assert max(latitude for _, latitude in ring) > -60
        # A ring that jumped from 180 to -180 would draw a bar across the map.
        assert all(abs(after[0] - before[0]) < 60 for before, after in pairwise(ring))


def test_importing_reads_no_file_and_no_pandas():
    code = (
        "import sys, gtlab.regions as r, gtlab.charts; "
        "assert r._rtt_matrix.cache_info().currsize == r.land_rings.cache_info().currsize == 0; "
        "assert not {'pandas', 'plotly', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
