"""How a notebook shows a lab, printed text, errors and data frames.

JupyterLab breaks printed words at any letter, and everywhere it breaks Region codes and names of options at hyphens.
"""

from __future__ import annotations

import html
import re
import sys
from typing import Any

_STYLE = """<style>
.jp-OutputArea .jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
.jp-OutputArea .jp-OutputArea-output pre .ansi-bold, .jp-MarkdownCell .jp-RenderedMarkdown :not(pre) > code {
  white-space: nowrap;
}
.jp-OutputArea .jp-RenderedHTMLCommon table.dataframe { font-size: 12px; font-variant-numeric: tabular-nums; }
.jp-OutputArea .jp-RenderedHTMLCommon table.dataframe :is(th, td) {
  padding: 4px 5px; text-align: right; vertical-align: top;
}
@media (max-width: 1000px) {
  .jp-OutputArea .jp-RenderedHTMLCommon table.dataframe { font-size: 11px; }
  .jp-OutputArea .jp-RenderedHTMLCommon table.dataframe :is(th, td) { padding: 3px; }
}
</style>"""
_PREFORMATTED = """<style>
.jp-OutputArea pre.gt-lab.gt-lab {
  margin: 0; padding: 0 0 0 4px; background: none; white-space: pre-wrap; font-size: var(--jp-code-font-size);
  line-height: var(--jp-code-line-height); word-break: normal; overflow-wrap: anywhere;
}
.jp-OutputArea pre.gt-lab.gt-lab > span {
  display: block; padding-left: var(--gt-hang); text-indent: calc(0px - var(--gt-hang));
}
</style>"""
_NAME = re.compile(r"(?<=<th>)\w+(?=</th>)")
_LONG, _PART = re.compile(r"[A-Za-z=]{20,}"), re.compile(r"(?<=[a-z=])(?=[A-Z])")
_ARN = re.compile(r"\barn:[^\s<]+")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# Region codes, names of options, and dates; and a name with a space.
_CODE = re.compile(r"(?<![\w-])(?:[a-z]{2}(?:-[a-z]+)+-\d|--[a-z]+(?:-[a-z]+)*|\d{4}-\d\d-\d\d)(?![\w-])"
                   r"|\bN\. (?:Virginia|California)\b")
_BEFORE = re.compile(r" *(?:\w+ {2,})?")  # a line that is broken goes on below what follows this


def lab(said: str) -> dict[str, str]:
    """A lab that says this, as a MIME bundle. Every notebook shows its lab, so the stylesheet in it is in effect in the
    whole notebook."""
    return {"text/plain": said, "text/html": _STYLE + preformatted(said)}


def frame(table: Any) -> str | None:
    """A data frame as HTML, as pandas writes it. On a narrow page, names of columns may be broken after an underscore,
    and very long words, ARNs and UUIDs between two of their parts; Region codes are not broken."""
    made = table._repr_html_()
    return None if made is None else _breakable(made)


def styled(table: Any) -> str | None:
    """A styled data frame as :func:`frame` shows a plain one."""
    made = table._repr_html_()
    return None if made is None else _breakable(made).replace("<table id=", '<table class="dataframe" id=', 1)


def _breakable(made: str) -> str:
    made = _ARN.sub(lambda name: name.group().replace(":", ":<wbr>"), made)
    made = _UUID.sub(lambda name: name.group().replace("-", "-<wbr>"), made)
    named = _NAME.sub(lambda name: name.group().replace("_", "_<wbr>"), whole(made))
    return _LONG.sub(lambda word: _PART.sub("<wbr>", word.group()), named)


def whole(made: str) -> str:
    """HTML in which no Region code, name of an option or date is broken at the end of a line, nor is N. Virginia."""
    return _CODE.sub(r'<span style="white-space:nowrap">\g<0></span>', made)


def preformatted(text: str) -> str:
    """HTML of text as it is printed, with codes kept whole. Where a line is broken, it goes on below its first word; in
    a table of two columns, below the second column. Its stylesheet comes with it: what a notebook creates is said
    before its lab is shown."""
    lines = "".join(f'<span style="--gt-hang:{_hang(line)}ch">{whole(html.escape(line))}</span>'
                    for line in text.splitlines(keepends=True))
    return f'{_PREFORMATTED}<pre class="gt-lab">{lines}</pre>'


def _hang(line: str) -> int:
    found = _BEFORE.match(line)
    return found.end() if found else 0


def bold_codes(traceback: str) -> str:
    """An error as IPython sends it, with codes in bold: the stylesheet keeps what is bold whole, and there is nothing
    else that it could go by."""
    return _CODE.sub("\x1b[1m\\g<0>\x1b[22m", traceback)


class Output:
    """One output of a cell, for notebooks only: what it shows is replaced in place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, markup: str) -> None:
        from IPython.display import display

        data = {"text/plain": text, "text/html": markup}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class Lines:
    """Lines of text that stay together: in a notebook one output, where the first one was, though other outputs, such
    as the progress of a wait, have come below it. Elsewhere they are printed."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._output = Output()

    def say(self, text: str) -> None:
        if kernel_shell() is None:
            print(text)
            return
        self._lines.append(text)
        said = "\n".join(self._lines)
        self._output.show(said, preformatted(said))


def say(text: str, markup: str) -> None:
    """Show HTML in a notebook, and print the text elsewhere."""
    if kernel_shell() is None:
        print(text)
        return
    from IPython.display import display

    display({"text/plain": text, "text/html": markup}, raw=True)


def keep_codes_whole() -> None:
    """Let the notebook, if this is one, show data frames by :func:`frame`."""
    if (shell := kernel_shell()) is not None:
        formatter = shell.display_formatter.formatters["text/html"]
        for module in ("pandas", "pandas.core.frame"):  # where pandas 3 and pandas 2 have it
            formatter.for_type_by_name(module, "DataFrame", frame)
        formatter.for_type_by_name("pandas.io.formats.style", "Styler", styled)


def hide_secrets() -> None:
    """Let the notebook, if this is one, show no credentials and account ids."""
    if (shell := kernel_shell()) is not None:
        from gtlab.lab import output

        output.watch(shell.kernel.session)


def short_errors() -> None:
    """Let the notebook, if this is one, show only the type and the message of an error, and no traceback. IPython's
    ``%xmode Minimal`` does the same, but prints a line of its own."""
    if (shell := kernel_shell()) is not None:
        shell.InteractiveTB.set_mode("Minimal")


def kernel_shell() -> Any:
    """IPython's shell if this process is a notebook's kernel, and None if not. IPython is imported only where it runs
    already."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if hasattr(shell, "kernel") else None
