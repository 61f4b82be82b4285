// The live view: draws what Python says is on its way, has arrived, waits and is broken.

const ARRIVING_MS = 120;
const MOST_DRAWN = 300;
const MOST_OF_A_LINK = 40; // so that what waits before a cut link leaves room for the others
const FRAME_MS = 25; // between two drawings, at least: every second frame of most screens, for half of the processor time

function render({ model, el }) {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  const root = element("div", { class: "gt-root gt-live" });
  const map = new WorldMap(model.get("atlas"), draw, "Map of the replicas");
  map.svg.setAttribute("role", "img");
  let state = model.get("state");
  let speed = 1;
  let flights = new Map();
  const stale = new Map();
  let arcs = new Map();
  let sides = new Map();
  let frame = 0;
  let drawn = 0;
  let onScreen = true;
  let labelled = 0;
  let written = "";
  let late = 0;

  const title = element("b", { class: "gt-title" }, model.get("title"));
  const slower = element("select", { "aria-label": "Speed of the writes on the map", onchange: event => {
    speed = Number(event.target.value);
  } }, element("option", { value: 1 }, "×1 (real time)"), element("option", { value: 0.2 }, "×0.2 (slow motion)"));
  const problem = element("div", { class: "gt-message gt-bad", role: "status" });
  const words = element("div", { class: "gt-words", role: "log", "aria-live": "off", "aria-label": "Conflicts and faults" });
  const rows = element("tbody");
  const table = element("details", {}, element("summary", {}, "Links as a table"), element("table", { class: "gt-table" },
    element("thead", {}, element("tr", {}, ...["From", "To", "On the way", "Median lag", "Arrived", "Lost"].map(
      name => element("th", { scope: "col" }, name)))), rows));
  table.addEventListener("toggle", tabulate);
  const dock = dockable(root, el, () => map.fit() && draw());
  const legend = element("div", { class: "gt-hint" },
    "● a write on its way · ✕ it lost to a newer write · hourglass: a stale read, which missed a write that is on its way · number: many "
    + "at once. Items: as far back as the journal goes. Lag: median of the link's last 21 deliveries, simulated.");
  root.append(element("div", { class: "gt-bar" }, title, element("label", {}, "Speed ", slower), dock.button), problem,
    map.box, words, legend, table);
  el.append(root);
  const free = guardKeys(root);

  const members = () => model.get("members");
  const place = code => members().find(member => member.code === code)?.place ?? code;
  const look = code => members().find(member => member.code === code)?.look;
  const seen = () => onScreen && !document.hidden;
  const key = (a, b) => `${a} ${b}`;

  function draw() {
    if (!map.k) return;
    const { cut = [], down = {}, alone = [] } = model.get("places");
    const parted = new Set(cut.flatMap(([a, b]) => [key(a, b), key(b, a)]));
    arcs = new Map();
    map.layers.links.replaceChildren();
    map.layers.points.replaceChildren();
    chooseSides();
    for (const { code: a } of members()) {
      for (const { code: b } of members()) {
        if (a === b) continue;
        const arc = map.arc(a, b, 0.1);
        arcs.set(key(a, b), arc);
        const cutOff = parted.has(key(a, b));
        map.layers.links.append(shape("path", { d: arc.d, class: cutOff ? "gt-cut" : "" }));
        if (cutOff && a < b) map.layers.links.append(cross(map.arc(a, b, 0).point(0.5), 7));
      }
    }
    for (const { code } of members()) {
      const [x, y] = map.at(code);
      const node = shape("g", { transform: `translate(${x} ${y})`, class: code in down ? "gt-down" : "" },
        symbol(look(code), 9), look(code).home ? house(9) : null);
      if (code in down) node.append(cross([0, 0], 8));
      if (alone.includes(code)) node.append(shape("circle", { r: 15, class: "gt-alone" }));
      map.layers.points.append(node);
    }
    for (const [code, mark] of stale) mark.node.setAttribute("transform", besides(code));
    label(true);
    for (const flight of flights.values()) put(flight); // off the screen, no frame would bring it to its new place
    animate();
  }

  function cross([x, y], r) {
    return shape("path", { class: "gt-cross", d: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}` });
  }

  function label(always = false) {
    if (!map.k) return;
    labelled = performance.now();
    const { down = {}, alone = [] } = model.get("places");
    const names = members().map(({ code, place }, at) => {
      const waiting = state.waiting?.[code] ?? 0;
      const what = code in down ? ` – down (${down[code]})` : alone.includes(code) ? " – isolated" : "";
      const stale = state.stale?.[code] ?? 0;
      return { lines: [place + (at ? "" : " (home)") + what,
        `${count(state.items?.[code] ?? 0, "item")}${waiting ? `, ${waiting.toLocaleString("en")} on the way` : ""}`,
        ...(stale ? [count(stale, "stale read")] : [])],
        class: "gt-name", around: map.at(code), gap: at ? 14 : 22 };  // home is drawn in a house
    });
    const lags = members().length > 4 ? [] : (state.links ?? []).filter(link => link[3] != null && arcs.has(key(...link))).map(
      ([a, b, , lag]) => ({ lines: [ms(lag)], spare: true, on: [0.45, 0.35, 0.55, 0.25, 0.65].map(arcs.get(key(a, b)).point) }));
    const crosses = (model.get("places").cut ?? []).map(([a, b]) => map.arc(a, b, 0).point(0.5));
    // Where stale reads are marked, no label is put, also while there is no mark: labels would jump.
    const marks = members().filter(({ code }) => state.stale?.[code]).map(({ code }) => markBox(code, sides.get(code)));
    if (table.open) tabulate();
    const wanted = [[...names, ...lags], [...members().map(({ code }) => map.at(code)), ...crosses], marks];
    const text = JSON.stringify([map.width, wanted]);
    if ((text === written && !map.unmeasured) || !(always || seen())) return; // to place labels takes long
    written = text;
    map.labels(...wanted);
    map.svg.setAttribute("aria-label", "Map of the replicas. " + names.map(each => each.lines.join(": ")).join(". "));
  }

  function tabulate() {
    rows.replaceChildren(...(state.links ?? []).map(([a, b, waiting, lag, arrived, lost]) => element("tr", {},
      ...[place(a), place(b), waiting, lag == null ? "" : ms(lag), arrived, lost].map((value, at) => element("td",
        { class: at > 1 ? "gt-number" : "" }, at > 1 && typeof value === "number" ? value.toLocaleString("en") : value)))));
  }

  // --- what moves ---

  // One write, which stays until Python says that it has landed, or (many) those of a link, of which Python says no more.
  function start(number, a, b, expected, many = 0) {
    if (STILL.matches || !arcs.has(key(a, b)) || flights.size >= MOST_DRAWN) return;
    if (document.hidden || (many && !onScreen)) return;
    if ([...flights.values()].filter(flight => flight.a === a && flight.b === b).length >= MOST_OF_A_LINK) return;
    const dot = shape("g", {}, shape("circle", {
      r: many > 1 ? Math.min(11, 4 + Math.log2(many)) : 4, fill: look(a).colour, class: "gt-flight" }));
    if (many > 1) dot.append(shape("text", { class: "gt-many", y: -9, "text-anchor": "middle" }, many.toLocaleString("en")));
    map.layers.moving.append(dot);
    const flight = { dot, a, b, gone: 0, at: performance.now(), takes: expected ?? 400, landed: many ? "arrived" : null };
    flights.set(number, flight);
    put(flight); // else it would be in the corner until the first frame
    animate();
  }

  // Only while something moves, and where it is seen: each frame costs processor time.
  function animate() {
    if (onScreen && !frame) frame = requestAnimationFrame(move);
  }

  // It waits before its target until Python says that it is there.
  const partOf = flight => Math.min(flight.landed ? 1 : 0.9, flight.gone / flight.takes);

  function put(flight) {
    const arc = arcs.get(key(flight.a, flight.b));
    if (!arc) return;
    const [x, y] = arc.point(partOf(flight));
    flight.dot.setAttribute("transform", `translate(${x} ${y})`);
  }

  function pass(flight, now) {
    flight.gone += Math.max(0, now - flight.at) * speed;
    flight.at = now;
  }

  function move(now) {
    frame = 0;
    if (now - drawn < FRAME_MS) return animate();
    drawn = now;
    let moving = false;
    for (const [number, flight] of flights) {
      pass(flight, now);
      const known = arcs.has(key(flight.a, flight.b));
      if (!known || partOf(flight) >= 1) {
        flights.delete(number);
        flight.dot.remove();
        if (known) flash(flight.b, flight.landed);
        continue;
      }
      put(flight);
      moving ||= flight.landed || partOf(flight) < 0.9;
    }
    if (moving) animate();
  }

  function land(number, lag, outcome) {
    const flight = flights.get(number);
    if (!flight) return;
    if (!seen()) {
      flight.dot.remove();
      flights.delete(number);
      return;
    }
    flight.landed = outcome;
    pass(flight, performance.now());
    // At its real time if that is still to come; at once, with a short last stretch, if it is over.
    if (flight.gone >= lag) {
      const part = Math.min(0.9, flight.gone / flight.takes);
      flight.takes = ARRIVING_MS / (1 - part) * Math.max(speed, 0.2);
      flight.gone = flight.takes * part;
    } else flight.takes = lag;
    animate();
  }

  function flash(code, outcome) {
    const [x, y] = map.at(code);
    const lost = outcome === "conflict" || outcome === "older";
    const mark = lost ? cross([x + 15, y + 13], 6) : shape("circle", { cx: x, cy: y, r: 12, class: "gt-arrived" });
    map.layers.moving.append(mark);
    setTimeout(() => mark.remove(), lost ? 1500 : 250);
  }

  // One mark per Region, which stays while stale reads go on, with their number.
  function miss(code, many) {
    if (!map.k || document.hidden || !map.atlas.spots[code]) return;
    let mark = stale.get(code);
    if (!mark) {
      mark = { node: shape("g", { class: "gt-stale", transform: besides(code) },
        shape("path", { d: "M-7 -9L7 -9L-7 9L7 9z" })), many: 0 };
      const left = sides.get(code) !== 1;
      mark.text = shape("text", { class: "gt-many", "text-anchor": left ? "end" : "start", x: left ? -10 : 10, y: 5 });
      mark.node.append(mark.text);
      map.layers.moving.append(mark.node);
      stale.set(code, mark);
    }
    mark.many += many;
    mark.text.textContent = !sides.get(code) ? "" : mark.many > 1 ? `stale ×${mark.many.toLocaleString("en")}` : "stale";
    clearTimeout(mark.ends);
    mark.ends = setTimeout(() => unmark(code), 1500);
  }

  function besides(code) {
    const [x, y] = map.at(code);
    return `translate(${x + 17 * (sides.get(code) || -1)} ${y + 12})`;
  }

  // Stale reads are marked to the left (-1) or the right (1) of a Region, where there is room for the words beside the
  // mark. Elsewhere (0) the mark is without words: the label of the Region has the number.
  function chooseSides() {
    sides = new Map();
    for (const { code } of members()) {
      const taken = members().filter(other => other.code !== code).flatMap(other => {
        const [x, y] = map.at(other.code);
        return [[x - 11, y - 11, x + 11, y + 11], markBox(other.code, sides.get(other.code) ?? 0)];
      });
      sides.set(code, [-1, 1].find(side => {
        const box = markBox(code, side);
        return box[0] >= 0 && box[2] <= map.width && taken.every(other => !overlap(box, other));
      }) ?? 0);
    }
  }

  function markBox(code, side) {
    const [x, y] = map.at(code);
    return { "-1": [x - 102, y + 2, x - 8, y + 23], 0: [x - 26, y + 2, x - 8, y + 23], 1: [x + 8, y + 2, x + 102, y + 23] }[side];
  }

  function unmark(code) {
    clearTimeout(stale.get(code)?.ends);
    stale.get(code)?.node.remove();
    stale.delete(code);
  }

  // --- what Python says ---

  function hear(told) {
    if (!told.flights) return;
    state = told;
    if (told.restarted) clearFlights();
    for (const [number, a, b, expected] of told.flights) start(number, a, b, expected);
    for (const [a, b, many, expected] of told.streams) start(`stream ${Math.random()}`, a, b, expected, many);
    for (const [number, lag, outcome] of told.landed) land(number, lag, outcome);
    for (const [code, many] of told.missed) miss(code, many);
    for (const word of told.words) {
      const time = new Date(word.at * 1000).toLocaleTimeString("en-GB");
      words.prepend(element("div", { class: word.conflict ? "gt-conflict" : "" }, `${time}  ${word.text}`));
    }
    while (words.children.length > 4) words.lastChild.remove();
    clearTimeout(late);
    const wait = 400 - (performance.now() - labelled);
    if (wait <= 0) label();
    else late = setTimeout(() => label(), wait);
  }

  function clearFlights() {
    for (const flight of flights.values()) flight.dot.remove();
    flights.clear();
  }

  function regroup() {
    clearFlights();
    for (const code of [...stale.keys()]) unmark(code);
    state = model.get("state");
    map.show(model.get("atlas"));
    draw();
  }

  function trouble() {
    problem.textContent = model.get("problem");
    root.classList.toggle("gt-stopped", Boolean(model.get("problem")));
  }

  const watch = new IntersectionObserver(found => {
    onScreen = found.at(-1).isIntersecting;
    if (!onScreen) return;
    label();
    animate();
  });
  watch.observe(map.box);
  const here = () => model.send({ do: "here", view: id });
  const beat = setInterval(here, 15_000);
  here();
  draw();
  trouble();
  model.on("msg:custom", hear);
  model.on("change:members", regroup);
  model.on("change:places", draw);
  model.on("change:problem", trouble);
  return () => {
    clearInterval(beat);
    clearTimeout(late);
    for (const code of [...stale.keys()]) unmark(code);
    watch.disconnect();
    cancelAnimationFrame(frame);
    model.off("msg:custom", hear);
    model.off("change:members", regroup);
    model.off("change:places", draw);
    model.off("change:problem", trouble);
    try { model.send({ do: "gone", view: id }); } catch { /* the kernel is gone too */ }
    dock.close();
    map.close();
    free();
  };
}

function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

export default { render };
