"""Measurements as files, and the lag model that is fitted to them."""

from __future__ import annotations

import json
import math
import random
import re

import pandas as pd
import pytest
from click.testing import CliRunner
from support import IRELAND, SINGAPORE, VIRGINIA

import gtlab
from gtlab import charts, measure, regions, stages, statistics
from gtlab.cli import main
from gtlab.contract import BUILT_IN, LAG_MODEL_FILE
from gtlab.lab.connection import Lab
from gtlab.localcloud import lag_model as world_model
from gtlab.localcloud import process
from gtlab.localcloud.world import World
from gtlab.measure import exported, lag_model
from gtlab.measure.lag_frame import COLUMNS

AT = 1_795_800_123.25  # epoch seconds


def measured(pair: tuple[str, str] = (VIRGINIA, IRELAND), median_s: float = 0.3, sigma: float = 0.4, probes: int = 200,
             width_ms: float = 8.0) -> pd.DataFrame:
    """Lags as they would be measured: half a round trip plus a log-normal processing time, known to ``width_ms``."""
    chance, rows = random.Random(f"{pair} {median_s}"), []
    way = regions.rtt_ms(*pair) / 2
    for probe in range(1, probes + 1):
        lag = way + 1000 * chance.lognormvariate(math.log(median_s), sigma)
        low = lag - chance.uniform(0, width_ms)
        seen = probe != 7  # one was not seen
        times = {"sent_ms": 100.0 * probe, "late_ms": 0.1, "put_ms": 2.0, "missed_ms": low, "rtt_ms": 2 * way,
                 "source_rtt_ms": 1.0, "get_ms": 3.0, "committed_min_ms": 0.5, "committed_max_ms": 1.5}
        ends = dict.fromkeys(("visible_min_ms", "hard_min_ms", "lag_min_ms"), low)
        ends |= dict.fromkeys(("seen_ms", "visible_max_ms", "hard_max_ms", "lag_max_ms"),
                              low + width_ms if seen else math.nan)
        rows.append({"probe": probe, "source": pair[0], "target": pair[1], "sent_at": AT + probe / 10,
                     "symmetric": True, "missed_again": 0, "polls": 30, "backend": "AWS"} | times | ends)
    found = pd.DataFrame(rows)[list(COLUMNS)]
    found.attrs = {"sent": [{"region": pair[0], "what": "put", "requests": probes, "units": 2.0 * probes, "failed": 0,
                             "skipped": 0}], "seconds": 40.0, "not_put": 0, "polls_late_p99_ms": {pair[1]: 1.0}}
    return found


@pytest.fixture
def exports(tmp_path):
    def save(name: str, **settings):
        path = tmp_path / name
        exported.save(measured(**settings), path)
        return path
    return save


def test_a_measurement_comes_back_as_it_was(exports):
    lags, back = measured(), measure.load(exports("a.json"))
    assert list(back.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(back.drop(columns="sent_at"), lags.drop(columns="sent_at"), atol=0.001)
    assert back["lag_max_ms"].isna().sum() == 1  # the probe that was not seen
    assert (back["sent_at"] - back["sent_ms"] / 1000).nunique() == 1 and back["sent_at"].iloc[0] < AT  # only the hour
    pd.testing.assert_frame_equal(statistics.percentiles(back), statistics.percentiles(lags), atol=0.01)
    assert "AWS" in str(charts.lag_by_target(back).layout.to_plotly_json())  # a chart says where its figures come from


def test_nothing_in_a_file_tells_who_measured_and_when(exports, tmp_path):
    """The words that are in the file are those of the format, Regions, and the label."""
    text = exports("a.json").read_text(encoding="utf-8")
    words = set(re.findall(r'"([^"]*)"', text))
    members = {"format", "version", "gtlab", "backend", "hour", "seconds", "not_put", "sent", "columns", "rows",
               "region", "what", "requests", "units", "failed", "skipped", "put"}
    assert words - members - set(COLUMNS) == {exported.FORMAT, gtlab.__version__, "AWS", "2026-11-27T17:00Z", VIRGINIA,
                                              IRELAND}
    assert str(int(AT)) not in text


def test_several_files_are_one_frame(exports):
    lags = measure.load(exports("a.json"), exports("b.json", pair=(IRELAND, VIRGINIA), probes=20))
    assert len(lags) == 220 and lags.groupby(["source", "target"]).size().to_dict() == {
        (VIRGINIA, IRELAND): 200, (IRELAND, VIRGINIA): 20}
    assert [each["file"] for each in lags.attrs["files"]] == ["a.json", "b.json"]


@pytest.mark.parametrize(("change", "why"), [
    (lambda text: text[:-20], "it is not JSON"), (lambda text: "[]", '"format" is not gtlab-replication-lag'),
    (lambda text: text.replace('"version": 1', '"version": 2').replace('"version":1', '"version":2'),
     "has version 2 of the format; this gtlab reads version 1"),
    (lambda text: text.replace('"put_ms"', '"pat_ms"'), "is damaged: its columns are not"),
    (lambda text: text.replace("T17:00Z", ""), "is damaged"),
    (lambda text: json.dumps(json.loads(text) | {"rows": []}), "it has no rows"),
    (lambda text: json.dumps(json.loads(text) | {"rows": [[1, 2]]}), "a row has 2 values"),
    (lambda text: text.replace(f'"{IRELAND}",', '"mars",', 1), "'mars' is not a Region"),
    (lambda text: text.replace("true", '"yes"', 1), "symmetric is 'yes'"),
])
def test_a_file_that_is_no_measurement_is_refused(exports, change, why):
    path = exports("a.json", probes=5)
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(why)) as caught:
        measure.load(path)
    assert "a.json" in str(caught.value)


def test_what_was_not_measured_cannot_be_exported(tmp_path):
    with pytest.raises(ValueError, match="nothing to export"):
        exported.save(measured().iloc[:0], tmp_path / "a.json")
    with pytest.raises(ValueError, match="at least one file"):
        measure.load()


# --- the lag model ---

@pytest.mark.slow
def test_the_fit_finds_the_processing_time_of_each_pair(exports):
    near, far = (VIRGINIA, IRELAND), (VIRGINIA, SINGAPORE)
    model = lag_model.from_files([exports("a.json", pair=near, median_s=0.3, sigma=0.4),
                                  exports("b.json", pair=far, median_s=0.8, sigma=0.2)])
    assert re.fullmatch(r"a\.json, b\.json \([0-9a-f]{4}\)", model["name"])
    found = {(each["source"], each["target"]): each for each in model["pairs"]}
    assert (found[near]["median_s"], found[near]["sigma"]) == pytest.approx((0.3, 0.4), rel=0.15)
    assert (found[far]["median_s"], found[far]["sigma"]) == pytest.approx((0.8, 0.2), rel=0.15)
    assert 0.3 < model["others"]["median_s"] < 0.8


def test_the_world_draws_lags_by_the_model(exports):
    """And what is fitted to its lags is the model again."""
    given = world_model.read({"name": "x", "others": {"median_s": 2.0, "sigma": 0.1}, "pairs": [
        {"source": VIRGINIA, "target": IRELAND, "median_s": 0.1, "sigma": 0.3}]})
    world = World("realistic", seed=1, lag_model=given)
    lags = sorted(world.replication_lag_s(VIRGINIA, IRELAND) for _ in range(999))
    assert lags[499] == pytest.approx(0.1 + regions.rtt_ms(VIRGINIA, IRELAND) / 2000, rel=0.1)
    assert sorted(world.replication_lag_s(IRELAND, VIRGINIA) for _ in range(99))[49] == pytest.approx(2.0, rel=0.1)
    plain = World("realistic", seed=1)
    assert plain.lag_model.name == BUILT_IN and plain.lag_model.others == (0.45, 0.5)


def test_too_few_probes_give_no_model():
    with pytest.raises(ValueError, match="at least three probes must have been seen"):
        lag_model.of(measured(probes=2), "x")


@pytest.mark.slow
def test_a_pair_with_too_few_probes_has_no_model_of_its_own():
    few = pd.concat([measured(), measured(pair=(IRELAND, VIRGINIA), probes=2)])
    few.attrs = {}
    assert [each["source"] for each in lag_model.of(few, "x")["pairs"]] == [VIRGINIA]  # the other has that of all


@pytest.mark.parametrize(("document", "why"), [
    ([], "a JSON object with a name"), ({"name": ""}, "1 to 200"), ({"name": "x", "pairs": {}}, "a list"),
    ({"name": "x", "pairs": [], "others": {"median_s": 0, "sigma": 1}}, "not possible"),
    ({"name": "x", "pairs": [], "others": {"median_s": "1", "sigma": 1}}, "must be a number"),
    ({"name": "x", "pairs": [{"source": "mars", "target": IRELAND, "median_s": 1, "sigma": 1}],
      "others": {"median_s": 1, "sigma": 1}}, "'mars' is not a Region"),
])
def test_what_is_no_lag_model_is_refused(document, why):
    with pytest.raises(ValueError, match=re.escape(why)):
        world_model.read(document)


@pytest.mark.server
def test_measure_export_and_use_it(tmp_path, monkeypatch):
    """From the command: a measurement is exported, the local cloud is started with it, and its charts say so."""
    monkeypatch.setenv("GTLAB_HOME", str(tmp_path / "home"))
    path, run = tmp_path / "lags.json", CliRunner().invoke
    try:
        assert run(main, ["up", "--network", "fast", "--seed", "2"]).exit_code == 0
        ran = run(main, ["measure", "--source", SINGAPORE, "--targets", VIRGINIA, "--samples", "30",
                         "--export", str(path)])
        assert ran.exit_code == 0 and f"Exported: {path}" in ran.output, ran.output
        assert "built-in lag model" in ran.output and "000000000000" not in path.read_text(encoding="utf-8")
        ran = run(main, ["up", "--lag-model", str(path)])
        assert ran.exit_code == 1 and "they were measured on a scaled network" in ran.output
        exported.save(measured(), path)
        ran = run(main, ["up", "--lag-model", str(path)])
        assert ran.exit_code == 1 and "with lag model built-in, not lags.json" in ran.output.replace("\n", " ")
        assert run(main, ["down"]).exit_code == 0
        ran = run(main, ["up", "--lag-model", str(path)])
        assert ran.exit_code == 0, ran.output
        lab = gtlab.connect()
        assert re.fullmatch(r"simulated: local cloud, fast network, lag model lags\.json \([0-9a-f]{4}\)", lab.label)
        assert "lag model lags.json (" in run(main, ["status"]).output
        process.down()
        assert run(main, ["up"]).exit_code == 0  # as before
        assert "lag model lags.json (" in gtlab.connect().label
        process.down()
        (tmp_path / "home" / LAG_MODEL_FILE).write_text("{")
        ran = run(main, ["up"])
        assert ran.exit_code == 0 and "could not be read" in ran.output and "built-in" in gtlab.connect().label
        process.down()
        assert run(main, ["up", "--lag-model", "built-in"]).exit_code == 0
        assert "built-in lag model" in gtlab.connect().label and not (tmp_path / "home" / LAG_MODEL_FILE).exists()
        ran = run(main, ["up", "--lag-model", str(tmp_path / "absent.json")])
        assert ran.exit_code == 1 and "absent.json" in ran.output and "Traceback" not in ran.output
    finally:
        process.down()


@pytest.mark.server
def test_a_measurement_is_exported_with_its_data_frame(tmp_path):
    with process.throwaway("instant", seed=1):
        lab = gtlab.connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
        assert isinstance(lab, Lab)
        stages.ensure_global_table(lab)
        lags = measure.replication_lag(lab, "Music", samples=5)
        measure.save(lags, tmp_path / "a.json")
        pd.testing.assert_frame_equal(measure.load(tmp_path / "a.json").drop(columns="sent_at"),
                                      lags.drop(columns="sent_at"), atol=0.001, check_dtype=False)
