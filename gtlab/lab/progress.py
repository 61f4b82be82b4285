"""What a wait shows (:class:`Progress`), and a check that takes time (:class:`Doing`): one output in a notebook that is
updated in place; elsewhere a line on stderr.

It is plain HTML, not a widget: a notebook that is opened again shows it as it was at the end.
"""

from __future__ import annotations

import html
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gtlab.lab.display import Output, kernel_shell, preformatted, whole

_EVERY_S = 0.2   # between two updates, at least
_SAY_EVERY_S = 0.5  # the same for a line that says what is happening
_STYLE = """<style>
.gt-wait { font: 14px/22px var(--jp-ui-font-family, system-ui, sans-serif); color: var(--jp-ui-font-color1, #1F2933);
  max-width: 1000px; padding: 4px 0 4px 8px; }
.gt-wait progress { width: 100%; height: 8px; margin: 0; display: block; accent-color: #00704F; }
.gt-wait p { margin: 0; display: flex; gap: 0 12px; }
.gt-wait p b { flex: 1; min-width: 0; }
.gt-wait p span { flex: none; min-width: 120px; text-align: right; font-variant-numeric: tabular-nums; }
.gt-wait ul { display: grid; gap: 0 24px; list-style: none; margin: 4px 0 0 !important; padding: 0 !important;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, max(330px, var(--gt-name) + 136px)), 1fr)); }
.gt-wait li { display: flex; gap: 8px; margin: 0 !important; white-space: nowrap; line-height: 22px; }
.gt-wait li span { flex: 1; white-space: normal; overflow-wrap: anywhere; }
.gt-wait li b { flex: 0 0 96px; }
</style>"""
# JupyterLab empties a cell's output when the cell is run again, and the new output comes a little later. Meanwhile the
# cell keeps its height: otherwise the page would jump up and down.
_KEEP_HEIGHT = """<script>
(() => {
  const me = document.currentScript;
  requestAnimationFrame(() => {
    const area = me?.closest('.jp-OutputArea'), cell = me?.closest('.jp-CodeCell');
    if (!area || !cell || area.gtKeepsHeight) return;
    area.gtKeepsHeight = true;
    let height = 0;
    const measure = () => { if (area.querySelector('.gt-wait')) height = cell.offsetHeight; };
    new ResizeObserver(measure).observe(area);
    const running = () => cell.querySelector('.jp-InputPrompt')?.textContent.includes('*');
    new MutationObserver(() => {
      if (area.querySelector('.gt-wait') || !height) return;
      cell.style.minHeight = `${height}px`;
      const look = setInterval(() => {
        if (running()) return;
        clearInterval(look);
        setTimeout(() => { cell.style.minHeight = ''; }, 500);
      }, 250);
    }).observe(area, { childList: true });
  });
})();
</script>"""


@dataclass(frozen=True)
class Row:
    """Something that is waited for: its name, its status, and whether that is the wanted one."""

    name: str
    status: str
    done: bool


@dataclass(frozen=True)
class Board:
    """The state of a wait. ``rows`` may be empty: then ``done`` of ``total`` is all that is known. ``broken`` says
    what is broken, if that may be why the wait takes long."""

    title: str
    done: int
    total: int
    seconds: float
    rows: Sequence[Row] = ()
    failed: bool = False
    broken: str = ""

    def line(self) -> str:
        said = ", ".join(f"{row.name} {row.status}" for row in self.rows)
        return f"{self.title}: {self.done} of {self.total} in {self.seconds:.0f} s" + (
            f" ({said})" if said else "") + (f". {self.broken}" if self.broken else "")

    def page(self, kind: str = "") -> str:
        """As HTML; ``kind`` is one more class of the box."""
        count = f"{self.done} of {self.total} · {self.seconds:.0f} s" + (" · stopped" if self.failed else "")
        rows = "".join(f"<li>{'✔' if row.done else '…'} <span>{whole(html.escape(row.name))}</span> "
                       f"<b>{html.escape(row.status)}</b></li>" for row in self.rows)
        longest = max((len(row.name) for row in self.rows), default=0)  # two columns only where all names fit
        named = f"gt-wait {kind}".strip()
        return (f'{_STYLE}<div class="{named}" role="group" aria-label="{html.escape(self.line())}">'
                f"<p><b>{whole(html.escape(self.title))}</b><span>{count}</span></p>"
                f'<progress max="{self.total or 1}" value="{self.done}" aria-label="Progress"></progress>'
                + (f'<ul style="--gt-name: {longest}ch">{rows}</ul>' if rows else "")
                + (f'<p class="gt-broken">{whole(html.escape(self.broken))}</p>' if self.broken else "") + "</div>")


class Progress:
    """Shows a :class:`Board` and its later states. Call :meth:`show` as often as you like; :meth:`end` shows the last
    one."""

    def __init__(self) -> None:
        self._shell = kernel_shell()
        self._output = Output()
        self._shown_at, self._last = 0.0, ""
        # The room of a chart that the same cell draws afterwards is kept free, so that the page does not jump.
        self._room = bool(self._shell) and _draws(self._shell)

    def show(self, board: Board) -> None:
        now = time.monotonic()
        text = board.line()
        if text == self._last or (self._last and now - self._shown_at < _EVERY_S):
            return
        self._shown_at, self._last = now, text
        if self._shell:
            self._display(board)
        elif sys.stderr.isatty():
            _over(text)

    def end(self, board: Board) -> None:
        if self._shell:
            if board.failed:
                self._room = False
            self._display(board, _KEEP_HEIGHT)
        else:
            print(("\r" if sys.stderr.isatty() else "") + board.line(), file=sys.stderr)

    def _display(self, board: Board, script: str = "") -> None:
        kind = room = ""
        if self._room:
            rows = len(board.rows)
            height = 44 + 22 * rows + max(300, min(460, 140 + 62 * rows)) + 40  # this, a chart of these rows, its words
            # The style is the page's: the height is in the name, so that no other box gets this room. Only in a
            # notebook that is open (a page made by nbconvert keeps the output, too), and until the chart is there.
            kind = f"gt-room-{height}"
            room = (f"<style>.jp-NotebookPanel .jp-OutputArea:has(> .jp-OutputArea-child .{kind})"
                    f":not(:has(.js-plotly-plot .main-svg)) {{ min-height: {height}px; }}</style>")
        self._output.show(board.line(), room + board.page(kind) + script)


class Doing:
    """Says in one line what is happening, and for how long, until the result takes the line's place.

    A notebook shows the line as an output, a terminal on stderr; a program that reads the output gets only the result.
    """

    def __init__(self) -> None:
        self._shell, self._output = kernel_shell(), Output()
        self._began, self._shown_at, self._what = time.monotonic(), 0.0, ""

    def show(self, what: str) -> None:
        """Call it as often as you like."""
        now = time.monotonic()
        if self._what and now - self._shown_at < _SAY_EVERY_S:
            return
        self._shown_at, self._what = now, what
        text = f"{what} … {now - self._began:.0f} s"
        if self._shell:
            self._output.show(text, preformatted(text))
        elif sys.stderr.isatty():
            _over(text)

    def end(self, result: str) -> None:
        if self._shell and self._what:
            self._output.show(result, preformatted(result))
            return
        if self._what and sys.stderr.isatty():
            _over("")
            print("\r", end="", file=sys.stderr, flush=True)
        print(result)

    def stop(self) -> None:
        """There is no result."""
        if self._what:
            self.end(f"{self._what}: stopped after {time.monotonic() - self._began:.0f} s.")


def _over(text: str) -> None:
    """Write over the line of the terminal."""
    columns = shutil.get_terminal_size().columns - 1
    print(f"\r{text[:columns]:<{columns}}", end="", file=sys.stderr, flush=True)


def _draws(shell: Any) -> bool:
    """Whether the cell that runs draws a chart of gtlab."""
    cells = shell.user_ns.get("In") or [""]
    return "charts." in cells[-1]
