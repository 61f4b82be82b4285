// What all widgets of this folder share: elements, keys, and the map. Other files are put behind this one in one module.

const SVG = "http://www.w3.org/2000/svg";
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === false || value == null) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter(child => child != null));
  return node;
}

// Notebook 7 looks at each key before any listener below the document does, and asks only for this attribute: first of
// the element that has the keyboard, whose ancestors count only as far as it does not match a shortcut itself. With
// the attribute no shortcut works, so it is absent for keys that are the notebook's: with Ctrl, Cmd or Alt (Ctrl+S saves
// the notebook), and Shift+Enter, which runs the cell and goes on. Who has just clicked in a widget expects that.
function guardKeys(root) {
  const mark = event => {
    if (!root.contains(event.target)) return;
    for (const node of [root, event.target]) {
      fill(node, { "data-lm-suppress-shortcuts": ofTheNotebook(event) ? null : "true" }, []);
    }
  };
  const stop = event => {
    if (!ofTheNotebook(event)) event.stopPropagation();
  };
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  window.addEventListener("keydown", mark, true);
  for (const kind of ["keydown", "keyup", "keypress"]) root.addEventListener(kind, stop);
  return () => window.removeEventListener("keydown", mark, true);
}

function ofTheNotebook(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.shiftKey && event.key === "Enter";
}

// The element outside a widget that had the keyboard before it: a notebook's cell.
function leave(root) {
  const outside = root.parentElement?.closest("[tabindex]");
  if (outside) outside.focus();
  else document.activeElement?.blur();
}

function symbol(look, size) {
  return dress(shape("path", { class: "gt-symbol" }), look, size);
}

function dress(path, look, size) {
  return fill(path, {
    d: SHAPES[look?.symbol ?? "circle"], transform: `scale(${size})`, fill: look?.colour ?? "var(--gt-dot)",
  }, []);
}

// The house around the symbol of the home Region. It stands beside the symbol, whose own look does not change.
function house(size) {
  return shape("path", { class: "gt-home", d: HOME_OUTLINE, transform: `scale(${size})` });
}

function ms(value) {
  return value < 9.95 ? `${value.toFixed(1)} ms` : `${Math.round(value).toLocaleString("en")} ms`;
}

// The map: land, and layers in front of it in pixels of the page, whatever width the map has.
class WorldMap {
  constructor(atlas, redraw, label) {
    this.atlas = atlas;
    this.layers = {};
    this.land = shape("g", { class: "gt-land" });
    this.svg = shape("svg", { class: "gt-map", role: "group", "aria-label": label }, this.land);
    for (const name of ["links", "moving", "points", "labels"]) {
      this.layers[name] = shape("g", { class: `gt-${name}` });
      this.svg.append(this.layers[name]);
    }
    this.layers.labels.setAttribute("aria-hidden", "true");
    this.box = element("div", { class: "gt-map-box" }, this.svg);
    this.k = 0;
    this.unmeasured = false; // whether the labels were placed while the map was not on the page, where text has no width
    this.resized = new ResizeObserver(() => {
      if (this.fit() || (this.unmeasured && this.box.clientWidth)) redraw();
    });
    this.resized.observe(this.box);
    this.show(atlas);
  }

  show(atlas) {
    this.atlas = atlas;
    this.land.replaceChildren(shape("path", { d: atlas.land, "vector-effect": "non-scaling-stroke" }));
    this.k = 0;
    this.fit();
  }

  fit() {
    const width = this.box.clientWidth;
    if (!width || width === this.k * this.atlas.width) return false;
    this.k = width / this.atlas.width;
    this.width = width;
    this.height = Math.round(this.atlas.height * this.k);
    fill(this.svg, { width: this.width, height: this.height }, []);
    this.land.setAttribute("transform", `scale(${this.k * this.atlas.scale})`);
    return true;
  }

  at(code) {
    const [x, y] = this.atlas.spots[code];
    return [x * this.k, y * this.k];
  }

  // The line from one Region to another, bent to its left, so that the way back is another line. It takes the short way
  // round the world: at the edge of the map it leaves, and its copy comes in at the other one.
  arc(a, b, bend = 0.14) {
    const [x0, y0] = this.at(a);
    const [xb, y1] = this.at(b);
    const round = this.atlas.round * this.k;
    const x1 = xb - Math.round((xb - x0) / round) * round;
    const xc = (x0 + x1) / 2 + bend * (y1 - y0);
    const yc = (y0 + y1) / 2 - bend * (x1 - x0);
    const point = t => {
      const u = 1 - t;
      let x = u * u * x0 + 2 * u * t * xc + t * t * x1;
      if (x < 0 || x > this.width) {
        const other = x < 0 ? x + round : x - round;
        if (other >= 0 && other <= this.width) x = other;
      }
      return [x, u * u * y0 + 2 * u * t * yc + t * t * y1];
    };
    const curve = shift => `M${x0 + shift} ${y0}Q${xc + shift} ${yc} ${x1 + shift} ${y1}`;
    const copies = x1 < 0 ? [round] : x1 > this.width ? [-round] : [];
    return { d: [0, ...copies].map(curve).join(""), point };
  }

  // Labels that avoid each other, the points, the edge and other boxes (left, top, right, bottom). Each: lines, class,
  // and where it may be, best first; spare: it is left out where it would cover another one.
  labels(wanted, points, boxes = []) {
    this.unmeasured = !this.box.clientWidth;
    const taken = [...points.map(([x, y]) => [x - 8, y - 8, x + 8, y + 8]), ...boxes];
    this.layers.labels.replaceChildren();
    for (const label of wanted) {
      const text = shape("text", { class: `gt-label ${label.class ?? ""}`, "text-anchor": "middle" });
      label.lines.forEach((line, at) => text.append(shape("tspan", { x: 0, dy: at ? "1.2em" : 0 }, line)));
      this.layers.labels.append(text);
      const wide = Math.max(...[...text.children].map(each => each.getComputedTextLength() + 6));
      const height = 15 * label.lines.length;
      const places = label.around
        ? around(label.around, label.gap ?? 10, wide, height) : label.on.map(([x, y]) => [x - wide / 2, y - height / 2]);
      let best = null;
      places.forEach(([x, y], rank) => {
        const inside = [Math.min(Math.max(x, 2), this.width - wide - 2), Math.min(Math.max(y, 2), this.height - height - 2)];
        const box = [inside[0], inside[1], inside[0] + wide, inside[1] + height];
        const moved = Math.abs(inside[0] - x) + Math.abs(inside[1] - y);
        const covers = taken.reduce((sum, other) => sum + overlap(box, other), 0);
        const cost = covers + rank * 3 + moved * 4;
        if (!best || cost < best.cost) best = { cost, box, covers };
      });
      if (label.spare && best.covers) {
        text.remove();
        continue;
      }
      taken.push(best.box);
      const [left, top] = best.box;
      text.setAttribute("transform", `translate(${left + wide / 2} ${top + 12})`);
    }
  }

  close() {
    this.resized.disconnect();
  }
}

function around([x, y], gap, wide, high) {
  const half = wide / 2;
  return [
    [x - half, y - gap - high], [x - half, y + gap], [x + gap + 2, y - high / 2], [x - gap - 2 - wide, y - high / 2],
    [x + gap * 0.6, y - gap - high], [x - gap * 0.6 - wide, y - gap - high], [x + gap * 0.6, y + gap],
    [x - gap * 0.6 - wide, y + gap], [x - half, y - 2.4 * gap - high], [x - half, y + 2.4 * gap],
  ];
}

function overlap(a, b) {
  const wide = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const high = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return wide > 0 && high > 0 ? wide * high : 0;
}
