"""What a wait shows, why it ends early where it cannot succeed, and what a lab says is left over from before."""

from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError
from browser import needs_chromium, watched_page
from support import IRELAND, SINGAPORE, VIRGINIA, song

from gtlab import connect, stages, watch
from gtlab.course.stages import MUSIC
from gtlab.lab.progress import Board, Doing, Progress, Row
from gtlab.localcloud import process

pytestmark = pytest.mark.server

SAO_PAULO = "sa-east-1"
LONG_S = 3600.0  # a test that waits for this long has failed by its own timeout


@pytest.fixture(scope="module")
def lab():
    """A lab in a cloud of its own, with the article's global table."""
    with process.throwaway("fast", seed=3):
        lab = connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
        stages.ensure_global_table(lab)
        yield lab


@pytest.fixture(autouse=True)
def mended(request):
    yield
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").world.reset()


def put(lab, name: str) -> dict:
    lab.client(SINGAPORE).put_item(TableName="Music", Item=song(name))
    return song(name)


@pytest.mark.parametrize(("knob", "places"), [
    ("partition", (IRELAND, SINGAPORE)), ("isolate", (SINGAPORE,)), ("isolate", (IRELAND,))])
def test_an_item_that_cannot_arrive_is_not_waited_for(lab, knob, places):
    getattr(lab.world, knob)(*places)
    with pytest.raises(watch.WaitInVain) as waited:
        watch.item(lab, "Music", put(lab, f"{knob} {places}"), timeout_s=LONG_S)
    said = str(waited.value)
    assert "cannot arrive in" in said and "Ireland (eu-west-1)" in said and f"{knob}: " in said
    assert "lab.world.reset()" in said and "gtlab world reset" in said


def test_a_fault_that_is_not_on_the_way_does_not_end_a_wait(lab):
    lab.world.partition(VIRGINIA, IRELAND)
    assert set(watch.item(lab, "Music", put(lab, "another way"), timeout_s=LONG_S)["status"]) >= {"there"}


def test_the_wait_knows_which_region_wrote(lab):
    lab.world.partition(VIRGINIA, IRELAND)
    lab.client(VIRGINIA).put_item(TableName="Music", Item=song("from Virginia"))
    with pytest.raises(watch.WaitInVain, match=r"cannot arrive in Ireland \(eu-west-1\) from N. Virginia"):
        watch.item(lab, "Music", song("from Virginia"), timeout_s=LONG_S)


def test_an_item_of_a_table_that_is_elsewhere(lab):
    other = connect(home=SINGAPORE, replicas=[VIRGINIA, SAO_PAULO])
    with pytest.raises(watch.WaitInVain, match=r"(?s)Music does not exist in São Paulo .*Ireland \(eu-west-1\) is not "
                                               "in your choice.*11_clean_up"):
        watch.item(other, "Music", put(lab, "elsewhere"), timeout_s=LONG_S)
    lab.client(SAO_PAULO).create_table(**MUSIC)  # a table of the same name, not a replica
    watch.tables(lab, "Music", regions=[SAO_PAULO])
    try:
        with pytest.raises(watch.WaitInVain, match="no replica of table Music"):
            watch.item(other, "Music", put(lab, "no replica"), timeout_s=LONG_S)
    finally:
        lab.client(SAO_PAULO).delete_table(TableName="Music")
        watch.tables(lab, "Music", "absent", [SAO_PAULO])


def test_a_table_that_nobody_creates_is_not_waited_for(lab):
    with pytest.raises(watch.WaitInVain, match=r"there is no table Nothing in .*Create it first"):
        watch.tables(lab, "Nothing", timeout_s=LONG_S)
    with pytest.raises(watch.WaitInVain, match=r"Music does not exist in São Paulo .*nobody is creating it there.*"
                                               r"Run this notebook again from its first cell"):
        watch.tables(lab, "Music", regions=[SINGAPORE, SAO_PAULO], timeout_s=LONG_S)


def test_a_region_that_is_down_is_not_asked(lab):
    lab.world.outage(VIRGINIA, "timeout")  # botocore would wait for minutes
    for wait in (lambda: watch.tables(lab, "Music"), lambda: watch.global_table(lab, "Music"),
                 lambda: watch.item(lab, "Music", song("down"))):
        with pytest.raises(watch.WaitInVain, match=r"(?s)a Region is down.*N. Virginia \(us-east-1\) is down.*reset"):
            wait()


def test_a_replica_that_is_being_created_is_waited_for(lab):
    stages.ensure_today(lab, wait=False)
    stages.ensure_today(lab)
    assert set(watch.tables(lab, "MusicToday", regions=lab.regions[:2])["status"]) == {"ACTIVE"}


def test_members_that_are_not_in_the_choice_are_named(lab, capsys):
    stages.ensure_global_table(connect(home=SINGAPORE, replicas=[VIRGINIA]))
    assert "not in your choice" not in capsys.readouterr().out  # nothing is missing: nobody waits for the others
    stages.ensure_global_table(connect(home=SINGAPORE, replicas=[VIRGINIA, "eu-central-1"]))
    assert "members that are not in your choice: Ireland (eu-west-1)" in capsys.readouterr().out


def test_a_lab_says_what_is_broken_and_left_over(lab):
    assert "broken" not in repr(lab) and "Music in Singapore, N. Virginia" in repr(lab)
    lab.world.partition(SINGAPORE, IRELAND)
    lab.client(SINGAPORE).put_item(TableName="Music", Item=song("held back"))
    shown = repr(connect(home=SINGAPORE, replicas=[VIRGINIA]))
    assert "broken    partition: Singapore (ap-southeast-1) ✕ Ireland (eu-west-1)" in shown
    assert "deliver" in shown and "lab.world.reset()" in shown and "Ireland" in shown.split("not in your choice")[0]


def test_a_cloud_that_has_stopped_is_one_sentence():
    with process.throwaway("fast"):
        lab = connect(home=SINGAPORE, replicas=[VIRGINIA])
        client = lab.client(SINGAPORE)
        with lab.world.outage(SINGAPORE, "refused"):  # the Region is down, the local cloud is not
            with pytest.raises(EndpointConnectionError, match="Could not connect"):
                client.list_tables()
        process.down()
        for call in (client.list_tables, lab.new_client(VIRGINIA).list_tables):
            with pytest.raises(EndpointConnectionError, match=r"^The local cloud has stopped.*gtlab.connect\(\)"):
                call()
        assert "The local cloud has stopped. Run gtlab.connect() again" in repr(lab)
        with pytest.raises(process.CloudError, match="gtlab up"):
            watch.tables(lab, "Music")


def test_a_board_is_as_high_at_the_end_as_at_the_beginning():
    rows = [Row("Singapore (ap-southeast-1)", "not known yet", False), Row("<b>", "ACTIVE", True)]
    first, last = Board("Waiting for <it>", 0, 2, 0.0, rows), Board("Waiting for <it>", 2, 2, 61.2, rows, failed=True)
    assert first.page().count("<li>") == last.page().count("<li>") == 2
    assert "<it>" not in last.page() and "<b></span>" not in last.page() and "stopped" in last.page()
    assert last.line() == "Waiting for <it>: 2 of 2 in 61 s (Singapore (ap-southeast-1) not known yet, <b> ACTIVE)"


@pytest.mark.browser
@needs_chromium
def test_the_region_codes_on_a_board_are_not_broken():
    page = Board("Waiting", 0, 1, 2.0, (Row("Music in Singapore (ap-southeast-1)", "ACTIVE", True),)).page()
    assert '(<span style="white-space:nowrap">ap-southeast-1</span>)</span> <b>ACTIVE' in page


def test_no_name_on_a_board_is_cut_off(browser):
    short, long = "Singapore (ap-southeast-1)", "MusicWitness in Singapore (ap-southeast-1)"
    cut = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"
    with watched_page(browser) as page:
        for width, name, columns in ((1000, short, 2), (1000, long, 1), (380, short, 1), (380, long, 1)):
            page.set_viewport_size({"width": width, "height": 600})
            page.set_content(Board("Waiting", 6, 6, 1, 6 * [Row(name, "absent", done=True)]).page())
            left = page.locator("li").evaluate_all("all => all.map(each => each.getBoundingClientRect().left)")
            assert len(set(left)) == columns, (width, name)
            assert page.locator("li span, li b").evaluate_all(cut) == [], (width, name)


def test_a_wait_says_what_is_broken_while_it_waits_and_at_its_end(lab, capsys):
    """It does not end early: it cannot know whether what it looks at needs what is broken."""
    lab.world.partition(IRELAND, SINGAPORE)
    looks = iter([{"Regions": "differ"}, {"Regions": "agree"}])
    watch.until(lambda: next(looks), "agree", what="them to agree", timeout_s=LONG_S, every_s=0.01, lab=lab)
    lab.world.slow(VIRGINIA, IRELAND, 10)  # stops nothing
    with pytest.raises(watch.WaitInVain) as waited:
        watch.until(lambda: {"Regions": "differ"}, "agree", what="them to agree", timeout_s=0.0, every_s=0.01, lab=lab)
    said = "Broken now: partition: Singapore (ap-southeast-1) ✕ Ireland (eu-west-1)."
    assert f"Last seen: Regions differ. {said} To repair everything, run lab.world.reset()" in str(waited.value)
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown == f"Waiting for them to agree: 0 of 1 in 0 s (Regions differ). {said}"


def test_a_board_shows_what_is_broken_below_its_rows():
    broken = Board("Waiting", 0, 1, 2.0, (Row("Regions", "differ", False),), broken="Broken now: <this>.")
    assert broken.page().endswith('</ul><p class="gt-broken">Broken now: &lt;this&gt;.</p></div>')
    assert "gt-broken" not in Board("Waiting", 0, 1, 2.0).page()


def test_what_is_broken_is_shown_before_the_wait_is_over_and_not_after_its_repair(lab, monkeypatch):
    boards = []
    monkeypatch.setattr(Progress, "show", lambda self, board: boards.append(board))
    monkeypatch.setattr(watch, "_ASK_AGAIN_S", 0.0)
    lab.world.isolate(IRELAND)

    def look():
        if boards and boards[-1].broken:
            lab.world.reset()
            look.repaired = True
        return {"Regions": "agree" if look.repaired and not boards[-1].broken else "differ"}

    look.repaired = False
    watch.until(look, "agree", what="them to agree", timeout_s=60.0, every_s=0.01, lab=lab)
    assert "isolate: Ireland" in boards[1].broken and boards[-1].broken == ""


def test_a_wait_that_is_over_says_what_it_saw_last():
    with pytest.raises(watch.WaitInVain) as waited:
        watch.until(lambda: {VIRGINIA: "CREATING", IRELAND: "ACTIVE"}, "ACTIVE", what="it", timeout_s=0.0, every_s=0.01)
    assert str(waited.value).startswith("Waited 0 s for it. Last seen: us-east-1 CREATING, eu-west-1 ACTIVE. ")


@pytest.fixture
def outputs():
    """What a notebook's cell shows: IPython in a process that is taken for a kernel."""
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    published = shell.display_pub = CapturingDisplayPublisher(parent=shell)
    shell.kernel = None  # only its presence is looked at
    yield published.outputs
    InteractiveShell.clear_instance()


def test_a_result_takes_the_place_of_what_said_that_it_was_coming(outputs, capsys):
    doing = Doing()
    doing.show("Checking <it>")
    doing.show("Checking something else")  # so soon afterwards that nobody would see it
    doing.end("✔ Right. <b> in us-east-1")
    first, last = outputs
    assert first["data"]["text/plain"] == "Checking <it> … 0 s" and "Checking &lt;it&gt;" in first["data"]["text/html"]
    assert last["update"] and last["transient"] == first["transient"], "one output, which is replaced"
    assert last["data"]["text/plain"] == "✔ Right. <b> in us-east-1" and "&lt;b&gt; in" in last["data"]["text/html"]
    assert capsys.readouterr() == ("", "")


def test_a_result_that_nobody_waited_for_is_printed(outputs, capsys):
    Doing().end("✔ Right.")
    Doing().stop()
    assert (outputs, capsys.readouterr().out) == ([], "✔ Right.\n")


def test_what_was_stopped_says_so(outputs):
    doing = Doing()
    doing.show("Checking it")
    doing.stop()
    assert outputs[-1]["update"] and outputs[-1]["data"]["text/plain"] == "Checking it: stopped after 0 s."
