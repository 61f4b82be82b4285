"""Executed notebooks as HTML pages that need neither a kernel nor a network, the glossary, and an index of them.

plotly draws the charts; its script is stored once, beside the pages. A widget becomes a still picture of its last
state.
nbconvert and plotly are imported inside functions only, because they take over a second.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtlab.charts import still
from gtlab.course.tour import WIDGET_STATE, Result, TourError
from gtlab.course.workingcopy import pages_beside

if TYPE_CHECKING:
    from nbconvert import HTMLExporter
    from nbformat import NotebookNode

PLOTLY = "plotly.min.js"
INDEX = "index.html"
CHART = "application/vnd.plotly.v1+json"
VIEW = "application/vnd.jupyter.widget-view+json"
MODEL = "IPY_MODEL_"  # prefix of a reference to another widget in a widget's state
LINK = re.compile(r"\[([^\]]*)\]\(([\w-]+)\.(?:ipynb|md)(#[^)]*)?\)")  # to a notebook or a page beside it, in Markdown
# nbconvert's page without what it loads from other machines: require.js, MathJax, Mermaid and the widgets' manager.
TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}<style>{{ resources.page_style }}</style>{%- endblock -%}
{%- block body_header -%}{{ super() }}
<nav><a href="index.html">All notebooks</a></nav>
{% if resources.failure -%}
<p class="failure" role="note">This notebook failed: {{ resources.failure | e }}</p>
{%- endif %}
{%- endblock -%}
{%- block input -%}
{%- if cell.metadata.get('jupyter', {}).get('source_hidden') -%}
<details><summary>Show the code</summary>{{ super() }}</details>
{%- else -%}{{ super() }}{%- endif -%}
{%- endblock -%}
{%- block footer_js -%}{% if resources.charts %}<script src="plotly.min.js"></script>
<script>{{ resources.page_script }}</script>{% endif %}{%- endblock -%}
"""
STYLE = """\
body.jp-Notebook { overflow: auto; padding: 16px; }
main { max-width: 1080px; margin: 0 auto; }
nav, .failure { margin: 0 0 12px; font-size: 14px; }
.failure { padding: 8px 12px; border-left: 4px solid #B3261E; background: #FCEEED; color: #1F2933; }
figure { margin: 0; }
.gt-chart { width: 100%; }
.gt-row { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; }
.gt-row progress { width: 160px; }
.jp-OutputArea-output { overflow-x: auto; }
.jp-InputArea-editor, .jp-OutputArea-output { min-width: 0; }
.cm-editor pre, .jp-OutputArea-output pre { white-space: pre-wrap; overflow-wrap: anywhere; }
details > summary { cursor: pointer; padding: 4px 8px; font-size: 13px; }
.jp-OutputArea-output pre { font-family: var(--jp-code-font-family) !important; font-size: var(--jp-code-font-size); }
.jp-RenderedHTMLCommon table { margin-left: 0; }
.jp-RenderedHTMLCommon .dataframe td, .jp-RenderedHTMLCommon .dataframe th { white-space: nowrap; max-width: none;
  padding: 4px 6px; }
nav a { color: #0B57D0; text-decoration: underline; }
"""
SCRIPT = """\
for (const chart of document.querySelectorAll('.gt-chart')) {
    const figure = JSON.parse(chart.nextElementSibling.textContent);
    figure.config = {...figure.config, responsive: true, displaylogo: false};
    Plotly.newPlot(chart, figure);
}
"""
INDEX_STYLE = """\
body { font: 16px/1.5 system-ui, 'DejaVu Sans', sans-serif; color: #1F2933; }
body { max-width: 1000px; margin: 24px auto; padding: 0 16px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 8px 12px 8px 0; border-bottom: 1px solid #C3CAD1; }
td:nth-child(2), th:nth-child(2) { text-align: right; white-space: nowrap; padding-right: 24px; }
p { margin: 0; } .failed { color: #B3261E; font-weight: bold; } td { overflow-wrap: anywhere; }
"""


def prepare(folder: Path) -> None:
    """Make the folder for the pages and store plotly's script in it.

    Raises TourError where that cannot be done, so that nobody waits for a tour whose pages cannot be stored.
    """
    from plotly.offline import get_plotlyjs

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PLOTLY).write_text(get_plotlyjs(), encoding="utf-8")
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise TourError(f"The folder {folder} cannot hold the pages: {reason}. Choose another folder.") from error


def write(results: Sequence[Result], executed: Path, folder: Path) -> Path:
    """Write a page for each result and the index, which it returns. The executed copies in ``executed`` are only read.

    A notebook that failed before anything was stored is shown as it was before the tour. ``folder`` is one that
    :func:`prepare` made.
    """
    beside = pages_beside(result.notebook for result in results)
    stems = {result.notebook.stem for result in results} | {path.stem for path in beside}
    rows = []
    for result in results:
        notebook = _read(executed / result.notebook.name, result.notebook)
        title, promise = heading(notebook)
        title = title or result.notebook.stem
        page = convert(notebook, title=title, failure=result.error, pages=stems)
        (folder / f"{result.notebook.stem}.html").write_text(page, encoding="utf-8")
        rows.append(_row(result, title, promise))
    titles = {path.stem: _text_page(path, folder, stems) for path in beside}
    (folder / INDEX).write_text(_index(rows, titles), encoding="utf-8")
    return folder / INDEX


def _text_page(path: Path, folder: Path, stems: Iterable[str]) -> str:
    """Write the page of a Markdown file, such as the glossary; returns its title."""
    from nbformat.v4 import new_markdown_cell, new_notebook

    notebook = new_notebook(cells=[new_markdown_cell(path.read_text(encoding="utf-8"))])
    title, _ = heading(notebook)
    (folder / f"{path.stem}.html").write_text(convert(notebook, title=title, pages=stems), encoding="utf-8")
    return title


def convert(notebook: NotebookNode, *, title: str, failure: str | None = None, pages: Iterable[str] = ()) -> str:
    """An executed notebook as one HTML page, which asks for ``plotly.min.js`` beside it and nothing else.

    ``failure`` is shown at the top. Links to the files whose stems are in ``pages`` lead to their pages; links to
    other notebooks and files of Markdown become plain text. The notebook itself is not changed.
    """
    shown = _still_notebook(notebook, set(pages))
    shown.metadata["title"] = title
    page, _ = _exporter().from_notebook_node(shown, {
        "failure": failure, "page_style": STYLE, "page_script": SCRIPT,
        "charts": any('class="gt-chart"' in output.get("data", {}).get("text/html", "")
                      for cell in shown.cells for output in cell.get("outputs", ()))})
    return page


@cache
def _exporter() -> HTMLExporter:
    """One for all pages: a new exporter compiles nbconvert's templates again, which takes longer than most pages."""
    from nbconvert import HTMLExporter

    return HTMLExporter(raw_template=TEMPLATE, require_js_url="", mathjax_url="", jquery_url="",
                        jupyter_widgets_base_url="", exclude_anchor_links=True)


def heading(notebook: NotebookNode) -> tuple[str, str]:
    """The title of a notebook and the paragraph in italics below it, as plain text; empty where there is none."""
    text = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"
                 and cell.source.startswith("# ")), "")
    title, *rest = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    promise = rest[0].strip("*") if rest and re.fullmatch(r"\*[^*].*\*", rest[0]) else ""
    return title.removeprefix("# "), LINK.sub(r"\1", promise).replace("`", "")


def _read(*paths: Path) -> NotebookNode:
    """The first of the files that can be read as a notebook; an empty notebook if none can."""
    import nbformat
    from nbformat.v4 import new_notebook

    for path in paths:
        try:
            return nbformat.read(path, as_version=4)
        except Exception:  # nbformat raises a dozen kinds for a file that is no notebook
            continue
    return new_notebook()


# --- a notebook without scripts of widgets ---


def _still_notebook(notebook: NotebookNode, pages: set[str]) -> NotebookNode:
    """A copy whose widgets are still pictures, whose charts are HTML and whose links lead to pages."""
    from copy import deepcopy

    copy = deepcopy(notebook)
    widgets = copy.metadata.pop("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    picture = _Still(widgets)
    for cell in copy.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(lambda found: _link(found, pages), cell.source)
        for output in cell.get("outputs", ()):
            if "data" in output and (drawn := picture.output(output)):
                output.data = {"text/html": drawn}
    return copy


def _link(found: re.Match[str], pages: set[str]) -> str:
    text, stem, part = found.groups()
    return f"[{text}]({stem}.html{part or ''})" if stem in pages else text


class _Still:
    """Outputs and widgets as HTML without a widget manager, from the state that an executed notebook keeps."""

    def __init__(self, widgets: Mapping[str, Mapping[str, Any]]) -> None:
        self.widgets = widgets

    def output(self, output: Mapping[str, Any]) -> str | None:
        """The HTML for a chart or a widget; None for an output that nbconvert shows well."""
        data = output.get("data", {})
        if CHART in data:
            return chart(data[CHART])
        if VIEW in data:
            # A widget of gtlab brings its own picture of its state.
            known = data.get("text/html") or self.widget(data[VIEW]["model_id"])
            return known if known is not None else _text(data.get("text/plain", ""))
        return None

    def widget(self, name: str) -> str | None:
        """A widget by its model ID; None if the notebook does not hold its state, "" if the widget is hidden."""
        model = self.widgets.get(name.removeprefix(MODEL))
        if model is None:
            return None
        state = model["state"]
        layout = self.widgets.get(str(state.get("layout")).removeprefix(MODEL), {}).get("state", {})
        if layout.get("display") == "none" or layout.get("visibility") == "hidden":
            return ""
        draw: Callable[[Mapping[str, Any]], str] = {
            "HTMLModel": lambda state: str(state.get("value", "")), "OutputModel": self._outputs,
            "FloatProgressModel": _progress, "IntProgressModel": _progress}.get(model["model_name"], _control)
        return self._box(model["model_name"], state) if "children" in state else draw(state)

    def _box(self, kind: str, state: Mapping[str, Any]) -> str:
        parts = [self.widget(child) for child in state["children"]]
        inside = "".join(f"<div>{part}</div>" for part in parts if part)
        return f'<div class="gt-row">{inside}</div>' if kind == "HBoxModel" else f"<div>{inside}</div>"

    def _outputs(self, state: Mapping[str, Any]) -> str:
        return "".join(self._shown(output) for output in state.get("outputs", ()))

    def _shown(self, output: Mapping[str, Any]) -> str:
        """An output within a widget, which nbconvert does not see."""
        if drawn := self.output(output):
            return drawn
        if output["output_type"] == "error":
            return _text(f"{output.get('ename')}: {output.get('evalue')}")
        data = output.get("data", {})
        return data.get("text/html") or _text(output.get("text") or data.get("text/plain", ""))


def chart(figure: Mapping[str, Any]) -> str:
    """A figure of plotly as HTML: the place where the page's script draws it, its data, and its words."""
    finding, alt = still.words(figure)
    height = figure.get("layout", {}).get("height", 450)
    data = json.dumps(figure).replace("</", "<\\/")  # a "</script>" in a text would end the script element
    said = [*([] if still.shows(figure, finding) else [finding]), *filter(None, [still.note(figure)])]
    below = f"<figcaption>{'<br>'.join(map(html.escape, said))}</figcaption>" if said else ""
    return (f'<figure><div class="gt-chart" role="group" aria-label="{html.escape(alt)}" '
            f'style="height:{height}px"></div><script type="application/json">{data}</script>{below}</figure>')


def _progress(state: Mapping[str, Any]) -> str:
    description = html.escape(str(state.get("description") or "Progress"))
    return (f'<progress aria-label="{description}" max="{float(state.get("max", 100)):g}" '
            f'value="{float(state.get("value", 0)):g}"></progress>')


def _control(state: Mapping[str, Any]) -> str:
    """Any other control: its label and what was chosen or typed in it."""
    labels, index = state.get("_options_labels"), state.get("index")
    value = labels[index] if labels and isinstance(index, int) else state.get("value", "")
    words = [str(part) for part in (state.get("description"), value) if part not in (None, "")]
    return html.escape(" ".join(words))


def _text(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>" if text else ""


# --- the index ---


def _row(result: Result, title: str, promise: str) -> str:
    outcome = "ok" if result.ok else f'<span class="failed">failed</span>: {html.escape(str(result.error))}'
    below = f"<p>{html.escape(promise)}</p>" if promise else ""
    return (f'<tr><td><a href="{html.escape(result.notebook.stem)}.html">{html.escape(title)}</a>{below}</td>'
            f"<td>{result.seconds / 60:.1f}</td><td>{outcome}</td></tr>")


def _index(rows: Sequence[str], beside: Mapping[str, str]) -> str:
    """``beside``: the titles of the other pages, by the stems of their files."""
    links = ", ".join(f'<a href="{html.escape(stem)}.html">{html.escape(title)}</a>' for stem, title in beside.items())
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>The course, executed</title><style>{INDEX_STYLE}</style></head><body><main>"
            "<h1>The course, executed</h1>\n<table><thead><tr><th>Notebook</th><th>Minutes run</th><th>Result</th></tr>"
            "</thead><tbody>\n" + "\n".join(rows) + f"\n</tbody></table><p>{links}</p></main></body></html>\n")
