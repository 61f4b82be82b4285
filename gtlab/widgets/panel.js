// The control panel: asks Python to break and mend, and draws what is broken.

function render({ model, el }) {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  const root = element("div", { class: "gt-root gt-panel" });
  const map = new WorldMap(model.get("atlas"), draw, "Map: links and Regions to break and mend");
  const members = model.get("members");
  const place = code => model.get("catalogue").find(each => each.code === code)?.place ?? code;
  const pairs = members.flatMap(({ code: a }, at) => members.slice(at + 1).map(({ code: b }) => [a, b].sort()));
  const ask = (what, more = {}) => model.send({ do: what, ...more });

  // --- the map: a click on a link parts it, a click on a Region takes it down ---

  const controls = [];
  const links = new Map();
  const points = new Map();
  for (const [a, b] of pairs) {
    const link = control({ class: "gt-link" }, () => ask("toggle", { knob: "partition", place: [a, b] }));
    link.append(shape("path", { class: "gt-hit" }), shape("path", { class: "gt-drawn" }), shape("path", { class: "gt-cross" }));
    links.set(`${a} ${b}`, link);
    map.layers.links.append(link);
  }
  for (const { code, look } of members) {
    const point = control({ class: "gt-point" }, () => ask("toggle", { knob: "outage", place: [code], value: how.value }));
    point.append(shape("circle", { class: "gt-hit", r: 16 }), shape("circle", { class: "gt-ring", r: 15 }),
      symbol(look, 9), shape("circle", { class: "gt-alone", r: 15 }), shape("path", { class: "gt-cross" }),
      look.home ? house(9) : null);
    points.set(code, point);
    map.layers.points.append(point);
  }

  function control(attributes, act) {
    const at = controls.length;
    const node = shape("g", {
      ...attributes, role: "button", tabindex: at ? -1 : 0,
      onclick: act,
      onkeydown: event => {
        if (ofTheNotebook(event)) return;
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); }
        if (!step) return;
        event.preventDefault();
        controls.forEach(each => each.setAttribute("tabindex", -1));
        const next = controls[(at + step + controls.length) % controls.length];
        next.setAttribute("tabindex", 0);
        next.focus();
      },
    });
    controls.push(node);
    return node;
  }

  function draw() {
    if (!map.k) return;
    const { cut = [], down = {}, alone = [] } = model.get("places");
    const parted = new Set(cut.map(pair => pair.join(" ")));
    const noted = model.get("notes");
    const labels = [];
    const taken = members.map(({ code }) => map.at(code));
    for (const [key, node] of links) {
      const [a, b] = key.split(" ");
      const arc = map.arc(a, b, 0.1);
      const off = parted.has(key);
      if (off) taken.push(arc.point(0.5));
      const direct = model.get("knobs").some(each => each.knob === "partition" && [...each.place].sort().join(" ") === key);
      node.children[0].setAttribute("d", arc.d);
      fill(node.children[1], { d: arc.d, class: `gt-drawn ${off ? "gt-cut" : ""}` }, []);
      node.children[2].setAttribute("d", off ? strokes(arc.point(0.5), 7) : "");
      node.setAttribute("aria-pressed", String(direct));
      const texts = noted.links?.[key] ?? [];
      node.setAttribute("aria-label", `Partition between ${place(a)} and ${place(b)}${texts.length ? `, ${texts.join(", ")}` : ""}`);
      if (texts.length) labels.push({ lines: texts, on: [0.38, 0.62, 0.3, 0.7, 0.25, 0.75].map(arc.point) });
    }
    members.forEach(({ code, place }, at) => {
      const node = points.get(code);
      const [x, y] = map.at(code);
      const isDown = code in down;
      fill(node, { transform: `translate(${x} ${y})`, class: `gt-point ${isDown ? "gt-down" : ""}`,
        "aria-pressed": String(isDown), "aria-label": `Outage of ${place}${alone.includes(code) ? ", isolated" : ""}` }, []);
      node.children[3].setAttribute("visibility", alone.includes(code) ? "visible" : "hidden");
      node.children[4].setAttribute("d", isDown ? strokes([0, 0], 8) : "");
      const state = [isDown ? `down (${down[code]})` : "", alone.includes(code) ? "isolated" : "",
        ...(noted.regions?.[code] ?? [])].filter(Boolean);
      labels.unshift({ lines: [place + (at ? "" : " (home)"), ...state], class: "gt-name", around: map.at(code), gap: at ? 14 : 22 });
    });
    map.labels(labels, taken);
  }

  const strokes = ([x, y], r) => `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`;

  // --- the form ---

  function region(label, at = 0) {
    const menu = element("select", { "aria-label": label }, ...model.get("catalogue").map(({ code, place }) =>
      element("option", { value: code }, `${place} (${code})`)));
    menu.selectedIndex = at;
    return menu;
  }

  function slider(label, unit, most, step, start, limit) {
    const range = element("input", { type: "range", min: 0, max: most, step, value: start, "aria-label": `${label}, ${unit}` });
    const number = element("input", { type: "number", min: 0, max: limit, step: "any", value: start, "aria-label": `${label} in ${unit}` });
    range.addEventListener("input", () => { number.value = range.value; });
    number.addEventListener("input", () => { range.value = number.value; });
    return { range, number, unit, label: element("span", { class: "gt-slider" }, label, range, number, unit) };
  }

  const how = element("select", { "aria-label": "How an endpoint fails" },
    ...model.get("outages").map(name => element("option", {}, name)));
  const from = region("From Region", 0);
  const to = region("To Region", 1);
  const one = region("Region", 1);
  const lag = slider("Lag", "s", 30, 0.1, 5, 3600);
  const added = slider("Added round trip", "ms", 2000, 10, 300, 60000);
  const read = slider("Read units", "per second", 100, 1, 5);
  const write = slider("Write units", "per second", 100, 1, 5);
  const everywhere = element("input", { type: "checkbox", checked: true });
  const named = element("input", { type: "text", value: "Music", "aria-label": "Table", size: 10 });
  const burst = element("input", { type: "number", min: 0, value: 0, step: "any", "aria-label": "Burst credit in seconds" });

  const value = input => (input.value === "" ? null : Number(input.value));
  const FORMS = {
    partition: ["Nothing passes between two Regions.", [from, " ✕ ", to], () => [[from.value, to.value]]],
    isolate: ["Nothing passes between a Region and any other; callers reach it.", [one], () => [[one.value]]],
    outage: ["A Region is down. A click on a Region uses this way of failing.", [one, how], () => [[one.value], how.value]],
    slow: ["A round trip between two Regions takes longer.", [from, " – ", to, added.label],
      () => [[from.value, to.value], value(added.number)]],
    lag: ["Replication takes exactly this long.", [element("label", {}, everywhere, " everywhere"), from, " → ", to, lag.label],
      () => [everywhere.checked ? [] : [from.value, to.value], value(lag.number)]],
    throttle: ["A table is held to this many units, and to its burst credit.",
      [named, " in ", one, read.label, write.label,
        element("span", { class: "gt-slider" }, "Burst", burst, "s")],
      () => [[one.value, named.value], Object.fromEntries(Object.entries({
        read_units: value(read.number), write_units: value(write.number), burst_s: value(burst) }).filter(([, each]) => each != null))]],
    caller: ["Every caller is in this Region.", [one], () => [[], one.value]],
  };
  const knob = element("select", { "aria-label": "Knob", onchange: choose },
    ...Object.keys(FORMS).map(name => element("option", {}, name)));
  const fields = element("span", { class: "gt-fields" });
  const what = element("span", { class: "gt-hint" });
  const set = element("button", { type: "button", onclick: turn }, "Set");

  function choose() {
    const [meaning, parts] = FORMS[knob.value];
    fields.replaceChildren(...parts);
    what.textContent = meaning;
    from.hidden = to.hidden = false;
    spread();
  }

  function spread() {
    const all = knob.value === "lag" && everywhere.checked;
    from.disabled = to.disabled = all;
  }

  function turn() {
    const [place, given] = FORMS[knob.value][2]();
    ask("turn", { knob: knob.value, place, value: given ?? null });
  }

  everywhere.addEventListener("change", spread);
  for (const each of [lag, added, read, write]) each.range.addEventListener("change", turn);

  // --- what is broken, and what was done ---

  const broken = element("ul", { class: "gt-broken", "aria-label": "What is broken" });
  const reset = element("button", { type: "button", onclick: () => ask("reset") }, "Repair everything");
  const problem = element("div", { class: "gt-message gt-bad", role: "alert" });
  const done = element("div", { class: "gt-done", role: "status", "aria-live": "polite" });

  function update() {
    const knobs = model.get("knobs");
    const held = broken.contains(document.activeElement);
    broken.replaceChildren(...(knobs.length ? knobs.map(each => element("li", {}, each.text, " ", each.mendable
      ? element("button", { type: "button", "aria-label": `Mend ${each.text}`,
        onclick: () => ask("mend", { knob: each.knob, place: each.place }) }, "Repair")
      : element("span", { class: "gt-hint" }, "(an experiment's: stop it there, or put everything right)")))
      : [element("li", { class: "gt-whole" }, "Nothing is broken.")]));
    if (held) (broken.querySelector("button") ?? reset).focus();
    draw();
  }

  function say() {
    const { python, command } = model.get("last");
    done.replaceChildren(...(python ? [element("div", {}, "The same in Python: ", element("code", {}, python)),
      element("div", {}, "On the command line: ", element("code", {}, command))] : []));
    problem.textContent = model.get("problem");
  }

  const dock = dockable(root, el, () => map.fit() && draw());
  root.append(
    element("div", { class: "gt-bar" }, element("b", { class: "gt-title" }, model.get("title")), reset, dock.button),
    map.box,
    element("div", { class: "gt-hint" }, "Click a line to cut it, and again to repair it. Click a Region to take it down, "
      + "and again to bring it back. On the map, arrow keys move and Enter or Space clicks."),
    element("div", { class: "gt-form", role: "group", "aria-label": "Set a knob" }, knob, fields, set, what), problem, broken, done);
  root.addEventListener("keydown", event => {
    if (event.key === "Escape") leave(root);
  });
  el.append(root);
  const free = guardKeys(root);
  const here = () => ask("here", { view: id });
  const beat = setInterval(here, 15_000);
  choose();
  update();
  say();
  here();
  model.on("change:knobs change:places change:notes", update);
  model.on("change:last change:problem", say);
  return () => {
    clearInterval(beat);
    model.off("change:knobs change:places change:notes", update);
    model.off("change:last change:problem", say);
    try { ask("gone", { view: id }); } catch { /* the kernel is gone too */ }
    dock.close();
    map.close();
    free();
  };
}

export default { render };
