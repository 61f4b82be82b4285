"""Predictions: every option of every question can be the truth of a run or is explained, the truth comes from what was
measured, and what is no measurement is told so."""

from __future__ import annotations

import html
import math

import pandas as pd
import pytest

from gtlab import regions
from gtlab.course import predictions, progress, router

REFUSED = ("Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the "
           "table in the last 24 hours.")
HOME, NEAR, FAR = "ap-southeast-1", "us-east-1", "eu-west-1"


def distances(**trips: float) -> pd.DataFrame:
    frame = regions.frame(HOME, [NEAR, FAR])
    return frame.assign(rtt_ms=[5.0, trips["near"], trips["far"]])


def overwrites(*records: tuple[str, str, str]) -> pd.DataFrame:
    """The Region of a stream, and who wrote the item before and after the change."""
    return pd.DataFrame(records, columns=["stream of", "old WrittenIn", "new WrittenIn"])


def log(*answers: tuple[float, list[str]]) -> pd.DataFrame:
    return pd.DataFrame(answers, columns=["ms", "failed"])


def stories(early: int, patient: int) -> dict[str, pd.DataFrame]:
    return {how: pd.DataFrame({"lost": [True] * lost + [False] * 9}) for how, lost in (("early", early),
                                                                                      ("patient", patient))}


def drills(slow: float, strong: float, missing: int, none: int) -> pd.DataFrame:
    return pd.DataFrame({"recovery_ms": [slow, strong], "missing_writes": [missing, none]})


def puts(*strong: float) -> dict[str, dict[str, float]]:
    return {"MREC": {HOME: 3.0, NEAR: 3.0}, "MRSC": dict(zip((HOME, NEAR, FAR), strong, strict=True))}


def local_puts(*times: tuple[float, float], backend: str = "simulated: local cloud, fast network") -> pd.DataFrame:
    """A put by a client at home and by one in the Region itself, in milliseconds."""
    return pd.DataFrame(times, columns=["from_home_ms", "in_the_region_ms"]).assign(
        region=[HOME, NEAR, FAR][:len(times)], backend=backend)


def bill(full: float, witness: float) -> pd.DataFrame:
    return pd.DataFrame({"MRSC": [full], "MRSC, witness": [witness]})


def widths(pale: float, dark: float) -> pd.DataFrame:
    return pd.DataFrame({"place": ["Ireland"], "rtt_ms": [220.0], "hard_width_ms": [pale], "refined_width_ms": [dark]})


# Question → what a run may measure, with the option that this makes right.
TRUTHS = {
    "00-light": [(regions.frame(HOME, [NEAR, FAR]), "slower"), (distances(near=155, far=300), "same"),
                 (distances(near=90, far=300), "faster"), (distances(near=700, far=600), "much")],
    "00-distance": [({HOME: 4.0, NEAR: 27.0, FAR: 20.0}, "longer"), ({HOME: 4.0, FAR: 5.0}, "same"),
                    ({HOME: 180.0, FAR: 5.0}, "longer")],
    "01-early": [({"Code": "ResourceNotFoundException", "Message": "Requested resource not found"}, "refused"),
                 ("accepted", "accepted")],
    "01-other": [({HOME: "there", NEAR: "not there"}, "nothing"), ({HOME: "there", NEAR: "there"}, "item")],
    "02-ready": [("CREATING", "creating"), ("ACTIVE", "ready"),
                 ({"Code": "GlobalTableAlreadyExistsException", "Message": "It exists."}, "refused")],
    "02-primary": [(local_puts((6, 5), (224, 5), (184, 7)), "here"), (local_puts((6, 5), (224, 221)), "home"),
                   (local_puts((6, 5), (30, 8), (25, 24)), "here")],
    "03-stale": [({HOME: "there", NEAR: "not there", FAR: "older"}, "home"),
                 ({HOME: "there", NEAR: "there", FAR: "older"}, "some"), ({HOME: "there", NEAR: "there"}, "all")],
    "03-strong": [({HOME: "there", NEAR: "not there"}, "no"), ({HOME: "there", NEAR: "there"}, "yes"),
                  ({HOME: "there", NEAR: "there", FAR: "not there"}, "some")],
    "04-get": [({"in the loop": 220.0, "never written": 219.0}, "distance"),
               ({"in the loop": 900.0, "never written": 219.0}, "lag"),
               ({"in the loop": 20.0, "never written": 219.0}, "bound")],
    "04-width": [(widths(230, 12), "pale"), (widths(230, 200), "both"), (widths(20, 12), "neither"),
                 (widths(20, 200), "dark")],
    "09-users": [(log((1040, [HOME]), (20, []), (18, [])), "first"), (log((1040, [HOME]), (1020, [HOME])), "all"),
                 (log((20, [HOME]), (18, [])), "none")],
    "09-early": [(stories(12, 3), "early"), (stories(2, 3), "patient"), (stories(2, 2), "same"),
                 (stories(0, 0), "none")],
    "09-silence": [({"counted at its start": 7, "acknowledged during it": 10, "counted at its end": 7}, "silence"),
                   ({"counted at its start": 7, "acknowledged during it": 10, "counted at its end": 9}, "rises")],
    "09-order": [({HOME: "S", NEAR: "S"}, "ann"), ({HOME: "M", NEAR: "M"}, "ben")],
    "09-strong": [(drills(1100, 1090, 5, 0), "loss"), (drills(1100, 90, 5, 0), "both"), (drills(1, 0.1, 5, 5), "time"),
                  (drills(1100, 1090, 0, 0), "neither")],
    "10-write": [(puts(181, 72, 71), "nearest"), (puts(72, 71, 70), "same"), (puts(3, 3, 3), "free"),
                 (puts(40, 180, 70), "home")],
    "10-bill": [(bill(243, 162), "third"), (bill(243, 243), "nothing"), (bill(243, 81), "half")],
    "10-conflicts": [({"MREC": 2, "MRSC": 1}, "mrec"), ({"MREC": 2, "MRSC": 2}, "two")],
    "11-first": [({"source": REFUSED, "replica": "deleted"}, "replica"), ({"source": "deleted"}, "either")],
    "11-items": [({"before": 3, "after": 3}, "all"), ({"before": 1, "after": 3}, "all"),
                 ({"before": 3, "after": 0}, "none"), ({"before": 3, "after": 1}, "some")],
}
TRUTHS |= {
    "06-cut": [({HOME: "at home", NEAR: "elsewhere", FAR: "elsewhere"}, "both"),
               ({HOME: "elsewhere", NEAR: "elsewhere"}, "one"), ({HOME: "before", NEAR: "elsewhere"}, "neither")],
    "06-winner": [({HOME: "elsewhere", NEAR: "elsewhere"}, "later"), ({HOME: "at home", NEAR: "at home"}, "first"),
                  ({HOME: "before", NEAR: "before"}, "neither")],
    "06-trace": [(overwrites((HOME, HOME, HOME), (HOME, HOME, NEAR), (NEAR, HOME, NEAR)), "loser"),
                 (overwrites((HOME, HOME, HOME), (NEAR, NEAR, HOME)), "winner"),
                 (overwrites((HOME, HOME, NEAR), (NEAR, NEAR, HOME)), "both"),
                 (overwrites((HOME, HOME, HOME), (NEAR, HOME, NEAR)), "nowhere")],
    "06-counter": [({"acknowledged": 10, "counted": counted}, option)
                   for counted, option in ((5, "five"), (10, "ten"), (7, "other"))],
    "06-ticket": [(["Ann", "Ben"], "neither"), (["Ann"], "second"), (["Ben"], "first")],
    "06-queue": [([40, 30, 600, 900, 1200, 2000], "grows"), ([2065, 311, 2647, 1440, 333, 622], "grows"),
                 ([40, 30, 60, 45, 30], "same"), ([1400, 300, 610, 450, 700, 520], "same")],
    "06-paused": [({HOME: "there", NEAR: "not there"}, "waits"), ({HOME: "there", NEAR: "there"}, "arrives"),
                  ({HOME: "not there", NEAR: "not there"}, "refused")],
    "05-two": [("Update table operation with more than one create or delete replica actions not allowed", "refused"),
               ("accepted", "both")],
    "05-early-bird": [({HOME: "there", NEAR: "there"}, "arrives"), ({HOME: "there", NEAR: "not there"}, "lost"),
                      ({HOME: "refused", NEAR: "not there"}, "refused")],
    "05-strong": [({"eventual": False, "strong": True}, "strong"), ({"eventual": True, "strong": True}, "both"),
                  ({"eventual": False, "strong": False}, "neither")],
    "05-conflict": [([{HOME: "accepted", NEAR: "ReplicatedWriteConflictException"}], "refused"),
                    ([{HOME: "accepted", NEAR: "accepted"}] * 2, "both")],
}
TEA, BOTH = {"tea": 1}, {"tea": 1, "milk": 1}
TRUTHS |= {
    "07-retry": [({"attempts": 4, "added": 4}, "more"), ({"attempts": 1, "added": 1}, "one"),
                 ({"attempts": 4, "added": 0}, "none")],
    "07-condition": [({"accepted": 2, "products": TEA}, "lost"), ({"accepted": 2, "products": BOTH}, "kept"),
                     ({"accepted": 1, "products": TEA}, "refused")],
    "07-modes": [(dict(zip(router.MODES, kept, strict=True)), right) for kept, right in (
        ((TEA, BOTH, BOTH), "any"), ((BOTH, BOTH, BOTH), "none"), ((TEA, TEA, TEA), "all"),
        ((TEA, TEA, BOTH), "some"))],
    "07-again": [({"requests": 10, "total": total}, right) for total, right in (
        (11, "twice"), (10, "once"), (9, "lost"))],
}
TRUTHS |= {
    "08-receipts": [({HOME: ["o"], NEAR: ["o"], FAR: ["o"]}, "each"), ({HOME: ["o"], NEAR: []}, "one"),
                    ({HOME: ["o"], NEAR: ["o"], FAR: []}, "some"), ({HOME: [], NEAR: []}, "none")],
    "08-filter": [({"during": [], "after": ["o"]}, "late"), ({"during": ["o"], "after": []}, "taken"),
                  ({"during": [], "after": []}, "never")],
    "08-half": [({0: 9, 1: 3, 2: 5}, "half"), ({0: 9, 2: 5}, "whole")],
    "08-ttl": [({HOME: "dynamodb.amazonaws.com", NEAR: "", FAR: ""}, "one"), ({HOME: "", NEAR: ""}, "none"),
               ({HOME: "dynamodb.amazonaws.com", NEAR: "dynamodb.amazonaws.com"}, "all")],
}
NO_MEASUREMENT = [None, 3, math.nan, "", "there", [], {}, {"mars": 1.0}, {HOME: "there"}, pd.Series([1.0]),
                  pd.DataFrame(), object()]

PROVES_NOTHING = [("10-conflicts", {"MREC": 1, "MRSC": 1}, "arrived before the second put"),
                  ("11-first", {"replica": "deleted"}, "the source, which is tried first"),
                  ("11-first", {"source": REFUSED, "replica": "the table is being created"}, "for another reason")]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path))
    monkeypatch.delenv(predictions.ANSWERS_VARIABLE, raising=False)


@pytest.mark.parametrize("id", predictions.every())
def test_the_truth_comes_from_what_was_measured(id):
    question = predictions.find(id)
    assert len(TRUTHS[id]) >= 2, "a question whose answer is always the same needs no measurement"
    for measured, right in TRUTHS[id]:
        for chosen in [None, *question.options]:
            found = predictions.compare(question, measured, chosen)
            answer = right if right in question.usual else question.usual[0]
            assert found.truth.option == right and found.right == (chosen == answer)
            told = predictions.told(found)
            assert ("✔" in told) == (right in question.usual), "a run that contradicts the lesson decides nothing"
            assert found.truth.measured in told and question.explanation(right), (id, right)
            shown = html.unescape(predictions.shown(found))
            assert question.text in shown and found.truth.measured in shown
            for key in {right, answer}:
                assert question.explanation(key) in shown and question.explanation(key) in told
            for key, option in question.options.items():
                assert (option.wrong in told) == (option.wrong in shown) == (key != answer)
                if key == chosen != answer:
                    assert shown.index(option.wrong) < shown.index("<details>"), "the reader's own is not folded away"


@pytest.mark.parametrize("puts", [local_puts((6, 5), (7, 6)), local_puts((6, 5)),
                                  local_puts((90, 90), (224, 221), backend="AWS")])
def test_puts_without_distance_show_no_primary(puts):
    with pytest.raises(predictions.NotMeasured):
        predictions.compare(predictions.find("02-primary"), puts, None)


@pytest.mark.parametrize("id", predictions.every())
def test_questions_are_well_formed(id):
    question = predictions.find(id)
    assert id[:2] in predictions.NOTEBOOKS and question in predictions.questions(id[:2])
    assert 2 <= len(question.options) <= 5 and question.text.endswith("?")
    assert question.usual and set(question.usual) <= set(question.options)
    for key, option in question.options.items():
        assert key.isidentifier() and key.islower() and option.text and option.wrong.endswith(".")


@pytest.mark.parametrize("id", predictions.every())
def test_what_is_no_measurement_is_told_so(id, capsys):
    from gtlab import check

    for measured in NO_MEASUREMENT:
        check.reveal(id, measured)
        assert "✔" not in capsys.readouterr().out and not progress.recorded("revealed"), measured


@pytest.mark.parametrize(("id", "measured", "says"), PROVES_NOTHING)
def test_what_was_luck_is_told_so(id, measured, says):
    with pytest.raises(predictions.NotMeasured, match=says):
        predictions.compare(predictions.find(id), measured, None)


def test_a_prediction_is_kept_and_compared(capsys):
    from gtlab import check

    asked = check.predict("03-stale")
    assert "○ home: Only home" in repr(asked) and 'check.predict("03-stale", ' in repr(asked)
    asked.choose("all")
    assert progress.recorded("predicted") == {"03-stale": "all"} and "saved" in asked.message
    asked.choose("mars")
    assert asked.message.startswith("Not saved: Question 03-stale has no option 'mars'") and asked.chosen == "all"
    check.reveal("03-stale", {HOME: "there", NEAR: "older"})
    shown = capsys.readouterr().out
    assert "✘ You predicted: All of them" in shown and "✔ It was: Only home" in shown
    assert shown.index("Why not “All of them") < shown.index("Why not “Home and some")
    assert progress.recorded("revealed") == {"03-stale": {"predicted": "all", "measured": "home", "right": False}}
    assert "● all" in repr(check.predict("03-stale")), "another kernel shows it again"


def test_quotation_marks_within_others_are_single():
    question = predictions.find("07-modes")
    (chosen,) = (key for key, option in question.options.items() if option.text.startswith("“Any Region” and"))
    measured, _ = TRUTHS[question.id][0]
    found = predictions.compare(question, measured, chosen)
    for text in (predictions.told(found), predictions.over(found)):
        assert "“‘Any Region’ and ‘your Region’, because several Regions write in both”" in text


def test_a_question_takes_no_answer_after_its_result_and_asks_again_when_its_cell_runs_again():
    from gtlab import check

    nobody, own = check.predict("03-strong"), check.predict("03-stale")
    own.choose("all")
    check.reveal("03-stale", [])
    assert not own.ended, "a value that shows no answer ends nothing"
    check.reveal("03-stale", {HOME: "there", NEAR: "older"})
    check.reveal("03-strong", {HOME: "there", NEAR: "not there"})
    assert own.ended and own.message.startswith("You answered “All of them")
    assert nobody.ended and nobody.message.startswith("No answer was given before the result was shown.")
    assert html.escape(own.message) in own.still() and html.escape(nobody.message) in nobody.still()
    nobody.choose("no")
    own._handle_custom_msg({"choose": "home"}, [])
    assert progress.recorded("predicted") == {"03-stale": "all"} and (nobody.chosen, own.chosen) == ("", "all")
    again = check.predict("03-stale")
    again.choose("home")
    assert progress.recorded("predicted") == {"03-stale": "home"} and not again.ended


def test_a_line_of_code_answers_and_so_does_the_environment(monkeypatch):
    from gtlab import check

    assert "● home" in repr(check.predict("03-stale", "only HOME"))
    monkeypatch.setenv(predictions.ANSWERS_VARIABLE, " 00-light=same , 03-strong=no")
    assert "● no" in repr(check.predict("03-strong"))
    assert progress.recorded("predicted") == {"03-stale": "home", "03-strong": "no"}
    with pytest.raises(ValueError, match="Choose one of: all, home, some, error"):
        check.predict("03-stale", "never")
    with pytest.raises(ValueError, match=r"no question '03-typo'\. There are: 03-stale, 03-strong"):
        check.predict("03-typo")
    monkeypatch.setenv(predictions.ANSWERS_VARIABLE, "no")
    with pytest.raises(ValueError, match="write ID=OPTION"):
        check.predict("03-stale")


def test_a_click_arrives_from_the_browser_and_the_still_form_can_be_read():
    from gtlab import check

    asked = check.predict("03-strong")
    asked._handle_custom_msg({"choose": "no"}, [])
    assert progress.recorded("predicted") == {"03-strong": "no"}
    data, _ = asked._repr_mimebundle_()
    assert data["text/plain"] == repr(asked) and "● No <code>no</code>" in data["text/html"]
