"""The clean-up: every table that the course made, in any Region, in an order that the service accepts; no others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import boto3
import pytest
from click.testing import CliRunner
from support import IRELAND, ON_DEMAND, SINGAPORE, VIRGINIA, wait_until

from gtlab import connect
from gtlab.cli.main import main
from gtlab.contract import CHOICE_FILE, HISTORIC, MADE_FILE, RUN_TAG
from gtlab.course import cleanup, stages
from gtlab.lab import Choice, Lab, describe, ownership, remember
from gtlab.localcloud import process

pytestmark = pytest.mark.server
PARIS, TOKYO, CANADA, BRAZIL = "eu-west-3", "ap-northeast-1", "ca-central-1", "sa-east-1"


@pytest.fixture(scope="module")
def place() -> Iterator[process.Running]:
    with process.throwaway("instant") as cloud:
        yield cloud


@pytest.fixture
def running(place) -> process.Running:
    """The module's cloud, empty, as if nothing had been made or chosen before."""
    process.reset()
    process.legacy_face(place.port, HISTORIC)
    for name in (CHOICE_FILE, MADE_FILE):
        (process.state_folder() / name).unlink(missing_ok=True)
    return place


@pytest.fixture
def lab(running) -> Lab:
    return connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])


@pytest.fixture
def stranger(running):
    """``stranger(region)``: a client that is not gtlab's, of the same account."""
    return lambda region: boto3.client("dynamodb", region_name=region, endpoint_url=running.url,
                                       aws_access_key_id="gtlab", aws_secret_access_key="gtlab")


def tables(running: process.Running) -> set[tuple[str, str]]:
    return {(table["name"], table["region"]) for table in process.status(running)["tables"]}


def test_every_table_goes_whatever_regions_were_chosen_when_it_was_made(running, capsys):
    for home, replicas, *makers in (
            (SINGAPORE, (VIRGINIA, IRELAND), stages.ensure_global_table, stages.ensure_today),
            (PARIS, (TOKYO,), stages.ensure_tables, stages.ensure_baskets),
            (VIRGINIA, (CANADA, PARIS), stages.ensure_tables, stages.ensure_strong)):
        remember(Choice(home, replicas))
        for make in makers:
            make(connect())
    assert len(tables(running)) == 3 + 2 + 2 + 2 + 1 + 3
    remember(Choice(BRAZIL, ("af-south-1",)))
    assert cleanup.clean(connect()) == [] and tables(running) == set()
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "0 left."
    assert printed.index("Delete the replica Baskets in Tokyo") < printed.index("Delete Baskets in Paris")
    assert printed.index("Delete the replica MusicToday in N. V") < printed.index("Delete MusicToday in Singapore")
    assert "Take Music in Ireland (eu-west-1) out of its global table of version 2017.11.29." in printed
    assert cleanup.clean(connect()) == [] and "the course has no tables here" in capsys.readouterr().out


@pytest.mark.parametrize("made_in", ["historic", "2026"])
def test_it_cleans_where_the_legacy_calls_are_refused(running, made_in):
    process.legacy_face(running.port, made_in)
    stages.ensure_global_table(connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND]))
    process.legacy_face(running.port, "2026")
    assert cleanup.clean(connect(home=PARIS, replicas=TOKYO)) == [] and tables(running) == set()


def test_a_group_with_a_witness_leaves_as_a_whole(running, lab, capsys):
    client = lab.client(VIRGINIA)
    client.create_table(**ON_DEMAND | {"TableName": stages.STRONG})
    describe_until_active(lab, stages.STRONG, VIRGINIA)
    client.update_table(TableName=stages.STRONG, ReplicaUpdates=[{"Create": {"RegionName": IRELAND}}],
                        GlobalTableWitnessUpdates=[{"Create": {"RegionName": PARIS}}], MultiRegionConsistency="STRONG")
    assert cleanup.clean(lab) == [] and tables(running) == set()
    printed = capsys.readouterr().out
    assert "Remove the other members of MusicStrong in N. Virginia (us-east-1), and its witness in Paris" in printed


def describe_until_active(lab: Lab, table: str, region: str) -> None:
    wait_until(lambda: describe.status(lab, table, region) == "ACTIVE", f"{table} to be ACTIVE")


def test_a_table_of_somebody_else_is_left_alone_and_reported(running, lab, stranger, capsys):
    stages.ensure_tables(lab)
    stranger(PARIS).create_table(**stages.MUSIC)
    stranger(PARIS).create_table(**ON_DEMAND | {"TableName": "Elsewhere"})
    with pytest.raises(Exception, match="ResourceInUse"):  # an intent that came to nothing proves nothing
        lab.client(PARIS).create_table(**stages.MUSIC)
    (left,) = cleanup.clean(lab)
    assert (left.table, left.region, left.foreign) == ("Music", PARIS, True)
    printed = capsys.readouterr().out
    assert "0 left.\nLeft alone: Music in Paris (eu-west-3): it has no tag gtlab:run" in printed
    assert tables(running) == {("Music", PARIS), ("Elsewhere", PARIS)}
    assert cleanup.clean(lab, cleanup.Options(also=("Music",))) == [] and tables(running) == {("Elsewhere", PARIS)}


def test_a_replica_that_was_added_to_somebody_elses_table_is_theirs(running, lab, stranger):
    stranger(SINGAPORE).create_table(**ON_DEMAND | {"TableName": stages.TODAY})
    stages.ensure_today(lab)
    assert {(left.table, left.region, left.foreign) for left in cleanup.clean(lab)} == {
        (stages.TODAY, SINGAPORE, True), (stages.TODAY, VIRGINIA, True)}
    assert tables(running) == {(stages.TODAY, SINGAPORE), (stages.TODAY, VIRGINIA)}


def test_tables_are_known_by_tag_or_by_intent_and_by_nothing_else(running, lab, stranger):
    stages.ensure_today(lab)
    arn = lab.client(SINGAPORE).describe_table(TableName=stages.TODAY)["Table"]["TableArn"]
    (tag,) = stranger(SINGAPORE).list_tags_of_resource(ResourceArn=arn)["Tags"]
    assert tag == {"Key": RUN_TAG, "Value": ownership.run_id()}
    def groups() -> int:
        return len(cleanup.survey(lab).groups)
    (process.state_folder() / MADE_FILE).unlink()
    assert groups() == 1  # by the tag of one member
    stranger(SINGAPORE).untag_resource(ResourceArn=arn, TagKeys=[RUN_TAG])
    assert groups() == 0


def test_an_intent_explains_a_table_without_a_tag(running, lab, stranger):
    stages.ensure_today(lab)
    arn = lab.client(SINGAPORE).describe_table(TableName=stages.TODAY)["Table"]["TableArn"]
    stranger(SINGAPORE).untag_resource(ResourceArn=arn, TagKeys=[RUN_TAG])
    assert cleanup.clean(lab) == [] and tables(running) == set()
    stranger(SINGAPORE).create_table(**ON_DEMAND | {"TableName": stages.TODAY})
    assert [left.foreign for left in cleanup.clean(lab)] == [True]  # not even one in the same place


def test_a_damaged_record_of_intents_stops_nothing(running, lab):
    (process.state_folder() / MADE_FILE).write_text('{"run": 3, "intents": [1, {"at": "x"}]')
    stages.ensure_today(lab)
    assert cleanup.clean(lab) == [] and tables(running) == set()


def test_deletion_protection_is_respected_unless_it_is_to_be_switched_off(running, lab, capsys):
    stages.ensure_baskets(lab)
    stages.ensure_strong(lab)
    for table, region in ((stages.STRONG, IRELAND), ("Baskets", VIRGINIA)):
        lab.client(region).update_table(TableName=table, DeletionProtectionEnabled=True)
    left = {(each.table, each.region): each.why for each in cleanup.clean(lab)}
    assert set(left) == {("Baskets", SINGAPORE), ("Baskets", VIRGINIA),
                         *((stages.STRONG, region) for region in lab.regions)}
    assert "deletion protection" in left["Baskets", VIRGINIA] and "24-hour rule" in left["Baskets", SINGAPORE]
    assert "one of its members is protected" in left[stages.STRONG, VIRGINIA]
    assert "Deleted: 1 of the course's 6 tables. Left:" in capsys.readouterr().out
    assert cleanup.clean(lab, cleanup.Options(unprotect=True)) == [] and tables(running) == set()


def test_a_kernel_that_was_killed_half_way_leaves_nothing_that_the_next_run_does_not_find(tmp_path, capsys):
    with process.throwaway("fast") as running:
        lab = connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
        stages.ensure_baskets(lab)
        stages.ensure_tables(lab)
        program = "import gtlab; from gtlab import cleanup; cleanup.clean(gtlab.connect())"
        with subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL) as kernel:
            while "Delete the replica" not in kernel.stdout.readline():
                pass
            kernel.kill()
        assert tables(running)
        assert cleanup.clean(connect(home=PARIS, replicas=TOKYO)) == [] and tables(running) == set()


def test_a_region_that_does_not_answer_is_named_and_the_others_are_cleaned(running, lab):
    stages.ensure_tables(lab, [SINGAPORE, VIRGINIA])
    with lab.world.outage(VIRGINIA, how="refused"):
        (left,) = cleanup.clean(lab)
        assert (left.table, left.region, left.foreign) == ("", VIRGINIA, False) and "not searched" in left.why
    assert tables(running) == {("Music", VIRGINIA)}
    assert cleanup.clean(lab) == []


def test_the_command_shows_asks_deletes_and_exits_with_1_if_something_is_left(running, lab, stranger):
    run = CliRunner().invoke
    stages.ensure_today(lab)
    stranger(PARIS).create_table(**stages.MUSIC)
    shown = run(main, ["clean", "--dry-run"])
    assert shown.exit_code == 0 and shown.output.splitlines()[:2] == [
        "To be deleted: MusicToday in N. Virginia (us-east-1)",
        "To be deleted: MusicToday in Singapore (ap-southeast-1)"]
    assert "Left alone: Music in Paris" in shown.output
    assert run(main, ["clean"], input="n\n").exit_code == 1 and len(tables(running)) == 3
    lab.client(VIRGINIA).update_table(TableName=stages.TODAY, DeletionProtectionEnabled=True)
    refused = run(main, ["clean", "--yes"])
    assert refused.exit_code == 1 and "deletion protection" in refused.output
    done = run(main, ["clean", "--unprotect", "--also", "Music"], input="y\n")
    assert done.exit_code == 0 and "0 left." in done.output and tables(running) == set()


def test_a_dry_run_starts_no_local_cloud_and_a_clean_up_says_that_it_does(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    looked = CliRunner().invoke(main, ["clean", "--dry-run"])
    assert looked.exit_code == 1 and looked.output.startswith("Error: The local cloud is not running, and a dry run")
    assert "gtlab up" in looked.output and process.find() is None

    def up():
        raise process.CloudError("It would start now.")

    monkeypatch.setattr(process, "up", up)  # starting one takes a second
    begun = CliRunner().invoke(main, ["clean", "--yes"])
    assert begun.output.splitlines() == [
        "The local cloud is not running. gtlab starts it to look for the course's tables.",
        "Error: It would start now."]


def test_a_group_is_listed_in_the_order_of_deletion_and_the_largest_counts(lab, running):
    assert cleanup.survey(lab).group(stages.TODAY) == []
    stages.ensure_today(lab)
    assert cleanup.survey(lab).group(stages.TODAY) == [VIRGINIA, SINGAPORE]
    stages.ensure_baskets(lab)
    assert cleanup.survey(lab).group("Baskets")[-1] == SINGAPORE and len(cleanup.survey(lab).group("Baskets")) == 3
    lab.client(VIRGINIA).delete_table(TableName=stages.TODAY)
    wait_until(lambda: describe.status(lab, stages.TODAY, VIRGINIA) == describe.ABSENT,
               "the replica to be gone")
    assert cleanup.survey(lab).group(stages.TODAY) == [SINGAPORE]
