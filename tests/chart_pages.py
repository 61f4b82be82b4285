"""Charts in a page, measured: for the tests of the charts, and for those in a real JupyterLab."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator

from browser import SEEN
from support import wait_until

from gtlab.charts.below import below

WIDTHS = (468, 968)  # of a notebook's output in JupyterLab with the sidebar open: windows of 900 and 1,400 pixels
# For each chart of a page: its title, and complaints about its text: outside the chart, over other text, smaller than
# 11 px, or of too little contrast (at least 4.5 for text and 3 for the symbols of Regions), and about a background that
# differs from the page's.
MEASURE = r"""() => {
    const parse = text => [...(text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0]), 1].slice(0, 4);
    const over = ([r, g, b, a], back) => [r, g, b].map((part, at) => part * a + back[at] * (1 - a));
    const linear = part => part <= 10.31 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const contrast = (a, b) => {
        const [dim, bright] = [light(a), light(b)].sort((p, q) => p - q);
        return (bright + 0.05) / (dim + 0.05);
    };
    const fill = (node, back) => {
        const style = getComputedStyle(node);
        if (style.fill === 'none' || !style.fill.startsWith('rgb')) return back;
        const [r, g, b, a] = parse(style.fill);
        return over([r, g, b, a * style.fillOpacity * style.opacity], back);
    };
    const behind = node => {
        for (let at = node; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour[3] === 1) return colour.slice(0, 3);
        }
        return [255, 255, 255];
    };
    const hidden = text => {
        const style = getComputedStyle(text);
        return !text.textContent.trim() || !text.getBoundingClientRect().width || style.visibility === 'hidden'
            || style.display === 'none' || text.closest('.hoverlayer, .modebar, [style*="opacity: 0;"]');
    };
    const judge = plot => {
        const outer = plot.getBoundingClientRect(), bad = [], before = [];
        const page = behind(plot), slab = plot.querySelector('.main-svg');
        const back = over(parse(getComputedStyle(slab).backgroundColor), page);
        if (contrast(back, page) > 1.2) bad.push(`a slab of ${back} on ${page}`);
        const plain = fill(plot.querySelector('.bglayer .bg') ?? slab, back);
        for (const text of plot.querySelectorAll('.main-svg text')) {
            if (hidden(text)) continue;
            const says = text.textContent.trim(), box = text.getBoundingClientRect();
            if (box.left < outer.left - 0.5 || box.right > outer.right + 0.5 || box.top < outer.top - 0.5
                || box.bottom > outer.bottom + 0.5) bad.push(`outside: ${says}`);
            for (const [other, there] of before) {
                const wide = Math.min(box.right, there.right) - Math.max(box.left, there.left);
                const high = Math.min(box.bottom, there.bottom) - Math.max(box.top, there.top);
                if (wide > 1 && high > 2) bad.push(`overlap: ${says} | ${other}`);
            }
            before.push([says, box]);
            const bar = text.classList.contains('bartext') && text.closest('.point')?.querySelector('path');
            const area = bar && bar.getBoundingClientRect();
            const inside = bar && box.left >= area.left - 1 && box.right <= area.right + 1;
            const label = text.closest('.annotation')?.querySelector('rect.bg');
            const ground = label ? fill(label, plain) : inside ? fill(bar, plain) : plain;
            for (const part of [text, ...text.querySelectorAll('tspan')]) {
                const own = [...part.childNodes].map(child => child.nodeType === 3 ? child.data : '').join('');
                if (!own.trim()) continue;
                const matrix = text.getScreenCTM(), style = getComputedStyle(part);
                const size = parseFloat(style.fontSize) * Math.hypot(matrix.a, matrix.b);
                if (size < 11) bad.push(`${size.toFixed(1)} px: ${own}`);
                const ratio = contrast(fill(part, ground), ground);
                const least = /^[●■▲◆▼✚★]$/.test(own.trim()) ? 3 : 4.5;
                if (ratio < least) bad.push(`contrast ${ratio.toFixed(2)}: ${own}`);
            }
        }
        return [plot.querySelector('.gtitle')?.textContent ?? '', bad];
    };
    return [...document.querySelectorAll('.js-plotly-plot')].map(judge);
}"""
# As JupyterLab does it with the output of a cell.
RUN_SCRIPTS = """() => document.body.querySelectorAll('script').forEach(script => {
    const run = document.createElement('script');
    run.textContent = script.textContent;
    script.replaceWith(run);
})"""
DRAW = """async figures => {
    for (const [at, figure] of figures.entries()) await Plotly.newPlot(`chart-${at}`, figure);
    await document.fonts.ready;
}"""

# The charts of the open notebook: of cells whose source calls gtlab's charts, how many show one.
CALLED = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === 'code' && /\\bcharts\\.\\w+\\(/.test(cell.model.sharedModel.source)).length"""
# JupyterLab lays out only the cells that are seen; text in the others has no place that could be measured.
ALL_LAID_OUT = ".jp-Cell { content-visibility: visible !important; }"


def charts_drawn(page) -> int:
    """Wait until each cell of the open notebook that calls gtlab's charts shows one. Gives their number."""
    called = page.evaluate(CALLED)
    drawn = page.locator(f"{SEEN} .js-plotly-plot:has(.main-svg)")
    wait_until(lambda: drawn.count() == called, f"{called} charts to be drawn")
    return called


@contextlib.contextmanager
def all_laid_out(page) -> Iterator[None]:
    """Lay out all cells of the open notebook, so that :func:`complaints` measures all of its charts."""
    style = page.add_style_tag(content=ALL_LAID_OUT)
    yield
    style.evaluate("style => style.remove()")  # the page is used again


def show(page, figures: Iterable, width: int, theme: str) -> None:
    """Draw the figures below each other in a page of this width, with what stands below them, as a notebook does.
    ``theme``: see :func:`switch`."""
    from plotly.offline import get_plotlyjs

    drawn = list(figures)
    if not page.evaluate("() => Boolean(window.Plotly)"):
        page.set_content("<!DOCTYPE html><html><body></body></html>")
        page.add_script_tag(content=get_plotlyjs())
    page.set_viewport_size({"width": width + 32, "height": 900})
    page.evaluate("parts => { document.body.innerHTML = parts; }", "".join(
        f'<div id="chart-{at}"></div>{below(fig.layout.meta, plays=bool(fig.frames))}' for at, fig in enumerate(drawn)))
    page.evaluate(RUN_SCRIPTS)
    switch(page, theme)
    page.evaluate(DRAW, [json.loads(fig.to_json()) for fig in drawn])


def switch(page, theme: str) -> None:
    """Switch the page's theme, "light" or "dark": the background and the attribute of ``body`` are JupyterLab's."""
    page.evaluate("""theme => {
        const dark = theme === 'dark';
        document.body.dataset.jpThemeLight = String(!dark);
        document.body.style.cssText = `margin: 16px; background: ${dark ? '#111' : '#fff'}; `
            + `--jp-layout-color0: ${dark ? '#111' : '#fff'}; --jp-ui-font-color1: ${dark ? '#dfdfdf' : '#212121'}; `
            + `--jp-ui-font-color2: ${dark ? '#b0b0b0' : '#5a5a5a'}; `
            + 'color: var(--jp-ui-font-color1)';
    }""", theme)


def complaints(page) -> list[str]:
    """What is wrong with the text of the charts in a page; see :data:`MEASURE`."""
    return [f"{title}: {each}" for title, bad in page.evaluate(MEASURE) for each in bad]
