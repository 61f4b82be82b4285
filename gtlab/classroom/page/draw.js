// The board's pictures. Each function returns an element. Every text goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child != null));
  return node;
}

export function time(ms) {
  if (ms == null) return "not seen";
  return ms >= 9950 ? `${(ms / 1000).toFixed(1)} s` : ms >= 100 ? `${Math.round(ms).toLocaleString("en")} ms` : `${+ms.toPrecision(2)} ms`;
}

export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

// Rows of a label, a bar and a value. Each: label, share (0 to 1), value.
export function bars(rows) {
  const box = element("div", { class: "bars" });
  for (const row of rows) {
    const bar = element("div", { class: "fill" });
    bar.style.width = `${100 * row.share}%`;
    box.append(element("div", {}, row.label), element("div", { class: "track", "aria-hidden": "true" }, bar),
               element("div", { class: "value" }, row.value));
  }
  return box;
}

const WIDTH = 640, LEFT = 66, RIGHT = 16, TOP = 14, BOTTOM = 46;

function plot(height, label, x, y) {
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label });
  const at = { x: value => LEFT + (value - x.from) / (x.to - x.from) * (WIDTH - LEFT - RIGHT),
               y: value => height - BOTTOM - (value - y.from) / (y.to - y.from) * (height - TOP - BOTTOM) };
  for (const value of y.ticks) {
    svg.append(shape("path", { class: "grid", d: `M${LEFT} ${at.y(value)}H${WIDTH - RIGHT}` }),
               shape("text", { class: "quiet", x: LEFT - 8, y: at.y(value) + 5, "text-anchor": "end" }, y.text(value)));
  }
  for (const value of x.ticks) {
    svg.append(shape("path", { class: "axis", d: `M${at.x(value)} ${height - BOTTOM}v5` }),
               shape("text", { class: "quiet", x: at.x(value), y: height - BOTTOM + 20, "text-anchor": "middle" },
                     x.text(value)));
  }
  svg.append(shape("path", { class: "axis", d: `M${LEFT} ${height - BOTTOM}H${WIDTH - RIGHT}` }),
             shape("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: height - 6, "text-anchor": "middle" }, x.title));
  return { svg, at };
}

function ticks(from, to, most = 6) {
  const rough = (to - from) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(each => each * power).find(each => each >= rough);
  const found = [];
  for (let value = Math.ceil(from / step) * step; value <= to + step / 1e6; value += step) found.push(+value.toPrecision(8));
  return found;
}

// The chance that a read sees a write, over all probes of the class.
export function curve(found) {
  const last = found.t_ms.at(-1), seconds = last >= 3000;
  const { svg, at } = plot(300, finding(found), {
    from: 0, to: last, ticks: ticks(0, last), text: value => seconds ? String(value / 1000) : String(value),
    title: `${seconds ? "seconds" : "milliseconds"} from the acknowledgement until the read is served`,
  }, { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1], text: value => `${100 * value} %` });
  const line = values => values.map((value, n) => `${at.x(found.t_ms[n])} ${at.y(value)}`);
  svg.append(shape("path", { class: "band", d: `M${[...line(found.possible), ...line(found.certain).reverse()].join("L")}Z` }),
             shape("path", { class: "curve", d: `M${line(found.certain.map((each, n) => (each + found.possible[n]) / 2)).join("L")}` }));
  for (const middle of found.medians_ms) {
    if (middle != null && middle <= last) svg.append(shape("path", { class: "rug", d: `M${at.x(middle)} ${at.y(0)}v-12` }));
  }
  if (found.by_99_ms != null) {
    // Right of the dot and below the curve there is room; near the edge the label ends there.
    const x = at.x(Math.min(last, found.by_99_ms)), edge = x > WIDTH - 170;
    svg.append(shape("circle", { class: "mark", cx: x, cy: at.y(0.99), r: 6 }),
               shape("text", { class: "bold halo", x: edge ? WIDTH - RIGHT : x + 4, y: at.y(0.99) + (edge ? 32 : 26),
                               "text-anchor": edge ? "end" : "start" }, `99 % by ${time(found.by_99_ms)}`));
  }
  return svg;
}

export function finding(found) {
  const by = found.by_99_ms == null ? "Not all writes were seen." : `99 % of the writes were certainly visible ${time(found.by_99_ms)} after the acknowledgement.`;
  return `${by} ${count(found.probes, "probe")} of ${count(found.learners, "learner")} (${found.backend}).`;
}

// The lags of the writes that arrived around an event, of everybody.
// The picture ends now, or at the end of the event and the last arrival. `now` is in the board's epoch seconds.
export function arrivals(event, now) {
  const rows = event.arrivals.flat(), over = Math.min(event.ends, now) - event.starts;
  const until = Math.max(10, over, ...rows.map(row => row[0])) + 1;
  const from = Math.min(-5, ...rows.map(row => row[0]));
  const most = 1.1 * Math.max(1000, ...rows.map(row => row[1]));
  const { svg, at } = plot(300, `Lags of ${count(rows.length, "write")} that arrived around the event`, {
    from, to: until, ticks: ticks(from, until), text: String, title: "seconds since the event began",
  }, { from: 0, to: most, ticks: ticks(0, most, 4), text: value => `${value / 1000} s` });
  svg.append(shape("rect", { class: "event", x: at.x(0), y: TOP, width: Math.max(1, at.x(over) - at.x(0)),
                             height: at.y(0) - TOP }));
  for (const [since, lag] of rows) svg.append(shape("circle", { class: "dot", cx: at.x(since), cy: at.y(lag), r: 4 }));
  return svg;
}

// Everybody's Regions on a map, and the lags measured between them.
export function map(found, world) {
  const used = found.regions.map(each => world.regions[each.code]).filter(Boolean);
  const view = around(used);
  const height = Math.round(WIDTH * (view.north - view.south) / (view.east - view.west) * 1.2);
  const at = (lon, lat) => [(lon - view.west) / (view.east - view.west) * WIDTH, (view.north - lat) / (view.north - view.south) * height];
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img",
                             "aria-label": `Map of the class's Regions: ${found.regions.map(each => each.code).join(", ")}` });
  svg.append(shape("rect", { class: "sea", width: WIDTH, height }));
  const rings = world.land.map(ring => `M${ring.map(point => at(...point).map(each => each.toFixed(1)).join(" ")).join("L")}Z`);
  svg.append(shape("path", { class: "land", d: rings.join("") }));
  const spot = code => at(world.regions[code].longitude, world.regions[code].latitude);
  const middles = [];
  for (const link of found.links) {
    const [[x0, y0], [x1, y1]] = [spot(link.source), spot(link.target)];
    const xc = (x0 + x1) / 2 + 0.14 * (y1 - y0), yc = (y0 + y1) / 2 - 0.14 * (x1 - x0);
    svg.append(shape("path", { class: "link", d: `M${x0} ${y0}Q${xc} ${yc} ${x1} ${y1}`, "stroke-width": 1 + Math.min(5, Math.sqrt(link.learners)) }));
    middles.push({ link, spot: [(x0 + 2 * xc + x1) / 4, (y0 + 2 * yc + y1) / 4] });
  }
  const taken = found.regions.map(each => spot(each.code)).map(([x, y]) => [x - 9, y - 9, x + 9, y + 9]);
  const labels = shape("g");
  for (const each of found.regions) {
    const look = world.regions[each.code], [x, y] = spot(each.code), size = 6 + Math.min(6, Math.sqrt(each.learners));
    svg.append(shape("path", { d: look.shape, fill: look.colour, transform: `translate(${x} ${y}) scale(${size})`,
                               stroke: "var(--sea)", "stroke-width": 0.2 }, shape("title", {}, `${look.place} (${each.code})`)));
    place(labels, `${look.place}: ${each.learners}`, [x, y], size, taken, height);
  }
  // The lags of the pairs that most learners have measured, as far as there is room.
  for (const { link, spot } of middles.sort((a, b) => b.link.learners - a.link.learners).slice(0, 8)) {
    if (link.high_ms != null) place(labels, time((link.low_ms + link.high_ms) / 2), spot, -8, taken, height, "halo");
  }
  svg.append(labels);
  return svg;
}

function around(used) {
  const lons = used.map(each => each.longitude), lats = used.map(each => each.latitude);
  let [west, east, south, north] = [Math.min(...lons) - 20, Math.max(...lons) + 25, Math.min(...lats) - 14, Math.max(...lats) + 12];
  const wide = Math.max(90, east - west), middle = (east + west) / 2;
  [west, east] = [middle - wide / 2, middle + wide / 2];
  const tall = Math.min(130, Math.max(wide * 0.38, north - south)), centre = (north + south) / 2;
  return { west, east, south: centre - tall / 2, north: centre + tall / 2 };
}

function place(layer, text, [x, y], size, taken, height, kind = "halo bold") {
  const wide = 9 * text.length + 6, tall = 20;
  const tries = [[0, -size - 12], [0, size + 14], [wide / 2 + size + 4, 0], [-wide / 2 - size - 4, 0],
                 [wide / 2, -size - 14], [-wide / 2, -size - 14], [wide / 2, size + 16], [-wide / 2, size + 16]];
  for (const [right, down] of tries) {
    const box = [x + right - wide / 2, y + down - tall / 2, x + right + wide / 2, y + down + tall / 2];
    if (box[0] < 2 || box[2] > WIDTH - 2 || box[1] < 2 || box[3] > height - 2) continue;
    if (taken.some(other => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    layer.append(shape("text", { class: kind, x: x + right, y: y + down + 5, "text-anchor": "middle" }, text));
    return;
  }
}
