"""`gtlab measure`: a measurement from the command line, its table, and what it is written to."""

from __future__ import annotations

import html
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gtlab import regions
from gtlab.charts.colours import GRID, INK, QUIET, SEA
from gtlab.charts.looks import VERMILLION
from gtlab.cli.aws import check_profile
from gtlab.course import stages
from gtlab.lab import Lab, checked_choice, connect
from gtlab.lab.aws import footprint
from gtlab.lab.aws.preflight import Asked
from gtlab.lab.connection import open_aws
from gtlab.measure import exported, planning, views
from gtlab.measure.lag import replication_lag
from gtlab.measure.published import MOST_MINUTES, beside_published, published
from gtlab.measure.sampling import Sampling

if TYPE_CHECKING:
    import pandas as pd

KINDS = (".csv", ".parquet", ".html")
_NO_TABLE = "Name the global table to measure: --table NAME. (Only the local cloud has one by itself.)"
_MUCH_LATE_MS = 30.0  # as wide as a refined interval should be
_STYLE = f"""body{{font-family:system-ui,'Segoe UI','DejaVu Sans',Arial,sans-serif;max-width:920px;margin:2em auto;
padding:0 1em;color:{INK}}}table{{border-collapse:collapse;font-size:14px;margin:1em 0}}
th,td{{border-bottom:1px solid {GRID};padding:4px 10px;text-align:right;white-space:nowrap}}th{{color:{QUIET}}}
div.wide{{overflow-x:auto}}
pre{{background:{SEA};padding:1em;white-space:pre-wrap}}.from{{color:{VERMILLION};font-weight:600}}"""


@dataclass(frozen=True)
class Request:
    """A measurement that a user asks for.

    ``source`` and ``targets`` are Region codes, ``samples``, ``rate`` and ``every_ms`` as in
    :func:`gtlab.measure.replication_lag`; ``endpoints`` are strings REGION=URL, which replace a backend. Without a
    ``table``, the course's table on the local cloud is measured, and created if it is missing. ``out`` names a file for
    the result, ``export`` one for :func:`gtlab.measure.load`. With ``yes``, no question is asked before AWS is used.
    """

    source: str
    targets: str
    samples: int
    rate: float = 10.0
    every_ms: float | None = None
    out: Path | None = None
    export: Path | None = None
    backend: str = "local"
    endpoints: Iterable[str] = ()
    table: str = ""
    profile: str | None = None
    yes: bool = False


def run(asked: Request, say: Callable[[str], None] = print,
        ask: Callable[[str], bool] = lambda question: False) -> bool:
    """Measure, print a table, and write a file if one is named. Returns False if the user refused.

    On AWS, the cost is printed and ``ask`` is called first. Raises ValueError for an invalid request, and RuntimeError
    for an error of the service; the message is one line that says what to do.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    out, samples, table = asked.out, asked.samples, asked.table
    check_out(out)
    Sampling(samples, asked.rate, asked.every_ms).check()  # before a table is made for it
    if asked.export is not None:
        _check_writable(asked.export)
    lab = open_lab(asked)
    if not table and lab.backend != "local":
        raise ValueError(_NO_TABLE)
    try:
        if not table:
            stages.ensure_global_table(lab)
        planned = planning.plan(lab, table or stages.TABLE, lab.home, lab.replicas, samples, rate=asked.rate,
                                every_ms=asked.every_ms)
        say(planning.words(planned) if lab.backend == "aws" else planning.words(planned).partition("\n")[0])
        if lab.backend == "aws" and not asked.yes and not ask("This is AWS itself, at your cost. Go on?"):
            return False
        lags = replication_lag(lab, table or stages.TABLE, lab.home, lab.replicas, samples, rate=asked.rate,
                               every_ms=asked.every_ms)
    except TimeoutError as error:
        raise RuntimeError(str(error)) from None
    except (ClientError, BotoCoreError) as error:
        raise RuntimeError(" ".join([f"{lab.label}: {error}", *getattr(error, "__notes__", ())])) from None
    if lags.empty:
        say("Nothing was measured.")
        return True
    if out:
        _keep(lags, out)  # before anything else can go wrong
        say(f"Written: {out}")
    if asked.export is not None:
        exported.save(lags, asked.export)
        say(f"Exported: {asked.export}")
    if lags.attrs["not_put"]:
        say(f"{lags.attrs['not_put']} of {samples} probes could not be put: {lab.home} refused them or did not answer.")
    late_ms = max(lags.attrs["polls_late_p99_ms"].values())
    if late_ms > _MUCH_LATE_MS:
        say(f"This machine was busy: one poll in a hundred was sent {late_ms:.0f} ms late or more, which makes "
            "intervals wide.")
    say(table_of(lags).to_string(index=False))
    say(f"({lags['backend'].iloc[0]}; times in ms; each figure lies between the two columns of a pair)")
    beside = _beside_published(lab, table or stages.TABLE, lags, say)
    if out and _kind(out) == ".html" and beside is not None:
        _keep(lags, out, beside)
    return True


def open_lab(asked: Request) -> Lab:
    """The lab for a measurement. On AWS, it says first whose account that is; the question comes later, with the cost.
    Raises ValueError."""
    source, targets, backend, profile = asked.source, asked.targets, asked.backend, asked.profile
    urls = urls_of(asked.endpoints)
    if urls and backend != "local":
        raise ValueError(f"Give --endpoint or --backend {backend}, not both: endpoints are measured in place of a "
                         "backend.")
    check_profile(backend, profile)
    codes = regions.parse(targets, at_least=1)
    lacking = [code for code in [regions.get(source).code, *codes] if urls and code not in urls]
    if lacking:
        raise ValueError(f"No endpoint was given for {lacking[0]}: --endpoint {lacking[0]}=URL")
    if source in codes:
        raise ValueError(f"{source} is the source; a target is another Region.")
    if backend == "aws":
        choice = checked_choice(source, codes)
        if not asked.table:
            raise ValueError(_NO_TABLE)
        return open_aws(Asked(choice, footprint.measurement(asked.table), (asked.table,), profile, yes=True))
    return connect(urls or backend, home=source, replicas=codes)


def urls_of(endpoints: Iterable[str]) -> dict[str, str]:
    """The URL of each Region from strings REGION=URL. Raises ValueError."""
    given = [_endpoint(text) for text in endpoints]
    urls = dict(given)
    if len(urls) < len(given):
        raise ValueError("Two endpoints were given for one Region: --endpoint is given once for each.")
    return urls


def check_out(out: Path | None) -> None:
    """Raises ValueError for a file that cannot be written, before anything is measured."""
    if out is None:
        return
    if _kind(out) not in KINDS:
        raise ValueError(f"{out} ends in none of {', '.join(KINDS)}: these are what can be written.")
    _check_writable(out)


def _check_writable(out: Path) -> None:
    if not out.resolve().parent.is_dir():
        raise ValueError(f"There is no folder {out.resolve().parent}.")
    try:
        there = out.exists()
        out.open("ab").close()
        if not there:
            out.unlink()
    except OSError as error:
        raise ValueError(f"{out} cannot be written: {error.strerror}.") from None


def _kind(out: Path) -> str:
    """Which of KINDS a file is, by its ending."""
    return out.suffix.lower()


def _keep(lags: pd.DataFrame, out: Path, beside: pd.DataFrame | None = None) -> None:
    """Write what was measured; where that cannot be, to a file of another name rather than nowhere."""
    try:
        write(lags, out, beside)
    except OSError as error:
        with tempfile.NamedTemporaryFile("w", prefix="gtlab-measure-", suffix=".csv", delete=False) as other:
            lags.to_csv(other, index=False)
        raise RuntimeError(f"{out} could not be written: {error.strerror}. Every probe is in {other.name}") from None


def table_of(lags: pd.DataFrame) -> pd.DataFrame:
    """The percentiles of the lag with their confidence intervals, a row per target and percentile, rounded."""
    from gtlab.measure import statistics

    found = statistics.percentiles(lags).round(0)
    return found[["source", "target", "probes", "percentile", "low_ms", "high_ms", "ci_low_ms", "ci_high_ms"]]


def _beside_published(lab: Lab, table: str, lags: pd.DataFrame, say: Callable[[str], None]) -> pd.DataFrame | None:
    """What the service published meanwhile, told beside what was measured; None where it published nothing (yet)."""
    from botocore.exceptions import BotoCoreError, ClientError

    if lab.backend not in ("local", "aws"):
        return None
    minutes = min(MOST_MINUTES, int((time.time() - lags["sent_at"].min()) / 60) + 2)
    try:
        service = published(lab, table, lags["source"].iloc[0], dict.fromkeys(lags["target"]), minutes=minutes)
    except (ClientError, BotoCoreError) as error:  # a profile may lack the right to ask; what was measured stands
        say(f"CloudWatch's ReplicationLatency could not be had: {error}")
        return None
    if service.empty:
        say("CloudWatch has published no ReplicationLatency of these minutes yet; it comes some minutes later, and of "
            "strongly consistent tables never.")
        return None
    beside = beside_published(lags, service)
    say("For comparison, what the service published (CloudWatch's ReplicationLatency, for all of the table's writes):")
    say(beside.drop(columns=["place", "backend"]).to_string(index=False))
    return beside


def write(lags: pd.DataFrame, out: Path, beside: pd.DataFrame | None = None) -> None:
    """Write every row as CSV or Parquet, or a report as HTML, by the file's ending. ``beside``: as
    :func:`gtlab.measure.beside_published` gives it, for the report."""
    if _kind(out) == ".csv":
        lags.to_csv(out, index=False)
    elif _kind(out) == ".parquet":
        _write_parquet(lags, out)
    else:
        out.write_text(page(lags, beside), encoding="utf-8")


def _write_parquet(lags: pd.DataFrame, out: Path) -> None:
    """By fastparquet itself, a tenth of pyarrow's size: pandas will no longer go through it."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it asks pandas for an option that is on its way out
        import fastparquet

        fastparquet.write(str(out), lags.reset_index(drop=True))


def page(lags: pd.DataFrame, beside: pd.DataFrame | None = None) -> str:
    """A report in one HTML file that needs nothing from elsewhere."""
    from gtlab import charts
    from gtlab.measure import statistics

    source, backend = lags["source"].iloc[0], lags["backend"].iloc[0]
    figures = [charts.lag_by_target(lags), charts.t_visibility(statistics.t_visibility(lags)),
               charts.lag_distribution(lags)]
    drawn = [figure.to_html(full_html=False, include_plotlyjs=number == 0, config={"displayModeBar": False})
             for number, figure in enumerate(figures)]
    targets = ", ".join(map(regions.label, dict.fromkeys(lags["target"])))
    parts = [
        f"<h1>Replication lag from {regions.label(source)}</h1>",
        f"<p>To {html.escape(targets)}. {lags['probe'].nunique()} probes. "
        f'<span class="from">{html.escape(backend)}</span></p>',
        "<h2>Percentiles</h2><p>Milliseconds from the commit at the source until the item can be read at the target. "
        "Of these probes the percentile lies between low and high; of all writes, with 95 % confidence, between ci_low "
        "and ci_high.</p>", _table_html(table_of(lags)), drawn[0],
        "<h2>How finely it is known</h2><p>Hard intervals assume nothing, and are at least a round trip wide. "
        "Refined ones assume that the paths there and back are alike.</p>", _table_html(views.widths(lags)),
        "<h2>t-visibility</h2>", drawn[1], "<h2>Arrivals</h2>", drawn[2]]
    if lags["probe"].nunique() >= 3:
        fitted = statistics.fit(lags).drop(columns=["source", "backend"])
        parts += ["<h2>Fitted distributions</h2>", _table_html(fitted.round(3))]
    if beside is not None:
        parts += ["<h2>The service's own figure</h2><p>CloudWatch's ReplicationLatency of these minutes, of all the "
                  "table's writes (<i>writes</i> to <i>max_ms</i>), beside the mean of these probes, which lies "
                  "between <i>mean_min_ms</i> and <i>mean_max_ms</i>.</p>", _table_html(beside.drop(columns="backend"))]
    parts += ["<h2>What was sent</h2>", f"<pre>{html.escape(_sent_words(lags))}</pre>"]
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Replication lag</title><style>{_STYLE}'
            f"</style></head><body>{''.join(parts)}</body></html>\n")


def _table_html(frame: pd.DataFrame) -> str:
    return f'<div class="wide">{frame.to_html(index=False, border=0, na_rep="")}</div>'


def _sent_words(lags: pd.DataFrame) -> str:
    return "\n".join(f"{row['region']:<16}{row['what']:<14}{row['requests']:>8,} requests {row['units']:>10,.0f} units"
                     f"{row['failed']:>6} failed{row['skipped']:>6} skipped" for row in lags.attrs.get("sent", ()))


def _endpoint(text: str) -> tuple[str, str]:
    region, equals, url = text.partition("=")
    if not equals or not url.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} is not an endpoint. Write REGION=URL, such as eu-west-1=http://127.0.0.1:8000")
    return regions.get(region).code, url

