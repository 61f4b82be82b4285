"""A question with options, answered by click or keyboard."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from gtlab.localcloud import process
from gtlab.widgets.drawn import Drawn, script, style


class Quiz(Drawn):
    """What :func:`quiz` returns. ``chosen`` is the key of the chosen option, or empty; :meth:`choose` does what a click
    does, and :meth:`end` takes no more answers."""

    _esm = script("map.js", "quiz.js")
    _css = style("map.css", "quiz.css")

    question = traitlets.Unicode().tag(sync=True)
    options: traitlets.List = traitlets.List().tag(sync=True)  # pairs of key and text
    chosen = traitlets.Unicode().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    ended = traitlets.Bool(False).tag(sync=True)

    def __init__(self, question: str, options: Mapping[str, str], chosen: str, on_choice: Callable[[str], object],
                 in_words: Callable[[str], str]):
        self._on_choice, self._in_words = on_choice, in_words
        super().__init__(question=question, options=[list(pair) for pair in options.items()], chosen=chosen,
                         message="Your prediction is saved." if chosen else "")
        self.on_msg(self._hear)

    def choose(self, key: str) -> None:
        """Choose an option. Why it cannot be saved is in ``message``."""
        if self.ended:
            return
        try:
            self._on_choice(key)
            self.chosen, self.message = key, "Your prediction is saved. The cell below shows what happens."
            self.keep()
        except (ValueError, OSError, process.CloudError) as error:  # an error here would be seen by nobody
            self.message = f"Not saved: {error}"

    def end(self, message: str) -> None:
        """Take no more answers, and show this message."""
        self.ended, self.message = True, message
        self.keep()

    def _hear(self, _: object, content: dict, __: object) -> None:
        self.choose(content["choose"])

    def still(self) -> str:
        rows = "".join(f'<li style="list-style:none">{"●" if key == self.chosen else "○"} {html.escape(text)} '
                       f'<code>{html.escape(key)}</code></li>' for key, text in self.options)
        ended = f"<p>{html.escape(self.message)}</p>" if self.ended else ""
        return (f'<div><strong>{html.escape(self.question)}</strong><ul style="margin:.4em 0;padding-left:.6em">{rows}'
                f"</ul>{ended}</div>")

    def _still_output(self) -> dict[str, str]:
        return super()._still_output() | {"text/plain": self._in_words(self.chosen)}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        found = super()._repr_mimebundle_(**kwargs)
        data, metadata = found if found else ({}, {})
        return data | {"text/plain": self._in_words(self.chosen)}, metadata

    def __repr__(self) -> str:
        return self._in_words(self.chosen)


def quiz(question: str, options: Mapping[str, str], on_choice: Callable[[str], object], *, chosen: str = "",
         in_words: Callable[[str], str] = lambda chosen: chosen) -> Quiz:
    """A question whose ``options`` (key → text) are chosen by mouse or by arrow keys. ``on_choice`` is called with the
    key of each choice; a ValueError, OSError or CloudError that it raises is shown below the options. ``in_words``
    returns the text that replaces the widget where there are no widgets."""
    return Quiz(question, options, chosen, on_choice, in_words)
