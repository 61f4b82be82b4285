// The Region picker: clicks and keys go to Python, which decides and says what is chosen.

function render({ model, el }) {
  const catalogue = model.get("catalogue");
  const near = model.get("near");
  const byCode = Object.fromEntries(catalogue.map(region => [region.code, region]));
  const root = element("div", { class: "gt-root gt-picker" });
  const map = new WorldMap(model.get("atlas"), draw, "Map of the Regions");
  const points = {};
  const rows = {};
  const start = model.get("home") || catalogue[0].code;
  let begun = false;
  let looked = null; // the Region under the mouse or with the keyboard

  const press = (code, home) => model.send({ do: home ? "home" : "press", region: code });
  const role = code => code === model.get("home") ? "home" : model.get("replicas").includes(code) ? "replica" : "";

  // --- the map ---

  for (const { code } of [...catalogue].sort((a, b) => map.atlas.spots[a.code][0] - map.atlas.spots[b.code][0])) {
    points[code] = shape("g", {
      class: "gt-point", role: "button", tabindex: -1,
      onclick: event => { roam(points, code); press(code, event.shiftKey); },
      onkeydown: event => {
        const to = near[code][event.key];
        if (ofTheNotebook(event)) return;
        if (to) go(points, to, event);
        else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); press(code, event.shiftKey); }
      },
      onfocus: () => look(code), onblur: () => look(null),
      onpointerenter: () => look(code), onpointerleave: () => look(null),
    }, shape("circle", { class: "gt-hit" }), shape("circle", { class: "gt-ring", r: 12 }), symbol(null, 5), house(8));
    map.layers.points.append(points[code]);
  }

  function look(code) {
    looked = code;
    draw();
  }

  // One point and one row can be reached by Tab; the arrow keys go on from there.
  function roam(among, code) {
    for (const [each, node] of Object.entries(among)) node.setAttribute("tabindex", each === code ? 0 : -1);
  }

  function go(among, code, event) {
    event.preventDefault();
    roam(among, code);
    among[code].focus();
  }

  function draw() {
    if (!map.k) return;
    if (!begun) { // now that it has a size: the list begins with the home Region; the page does not move
      begun = true;
      list.scrollTop += rows[start].getBoundingClientRect().top - list.getBoundingClientRect().top - 60;
    }
    const home = model.get("home");
    const looks = model.get("looks");
    const trips = model.get("rtt_ms");
    const chosen = [...(home ? [home] : []), ...model.get("replicas")];
    const near = new Set(chosen);
    for (const [code, node] of Object.entries(points)) {
      const [x, y] = map.at(code);
      node.setAttribute("transform", `translate(${x} ${y})`);
      node.setAttribute("aria-pressed", String(near.has(code)));
      node.setAttribute("aria-label", spoken(code));
      const size = near.has(code) ? 8 : code === looked ? 6.5 : 5;
      node.querySelector(".gt-hit").setAttribute("r", Math.max(7, 11.5 * map.k));
      // The elements stay: a click on one that is replaced between press and release would be lost.
      dress(node.querySelector(".gt-symbol"), looks[code], size);
      node.querySelector(".gt-home").setAttribute("visibility", code === home ? "visible" : "hidden");
    }
    map.layers.links.replaceChildren();
    const names = chosen.map(code => ({
      lines: [byCode[code].place + (code === home ? " (home)" : "")], class: "gt-name", around: map.at(code),
      gap: code === home ? 19 : 10 }));  // home is drawn in a house
    const times = [];
    if (home) {
      const towards = new Set(model.get("replicas"));
      if (looked && looked !== home) towards.add(looked);
      for (const code of towards) {
        const arc = map.arc(home, code);
        map.layers.links.append(shape("path", { d: arc.d, "stroke-dasharray": near.has(code) ? null : "3 4" }));
        times.push({ lines: [ms(trips[code])], on: [0.5, 0.6, 0.4, 0.7, 0.3].map(arc.point) });
      }
    }
    if (looked && !near.has(looked)) {
      names.push({ lines: [`${byCode[looked].place} (${looked})`], class: "gt-name", around: map.at(looked) });
    }
    map.labels([...names, ...times], [...near].map(code => map.at(code)));
  }

  function spoken(code) {
    const { place, country } = byCode[code];
    const away = model.get("rtt_ms")[code];
    const where = place === country ? place : `${place}, ${country}`;
    const distance = away != null && code !== model.get("home") ? `, ${ms(away)} from home` : "";
    return `${where}, ${code}${role(code) ? `, ${role(code)}` : ""}${distance}`;
  }

  // --- the list ---

  const filter = element("input", {
    type: "search", placeholder: "Filter by place or code", "aria-label": "Filter the Regions by place, country or code",
    oninput: () => sift(),
    onkeydown: event => {
      if (ofTheNotebook(event)) return;
      const first = shown()[0];
      if (event.key === "ArrowDown" && first) go(rows, first, event);
      if (event.key === "Enter" && shown().length === 1) press(first);
    },
  });
  const list = element("div", { class: "gt-list", role: "group", "aria-label": "Regions" });
  const none = element("div", { class: "gt-hint gt-none", hidden: true }, "No Region fits this filter.");
  const makers = {};
  for (const { code, place } of catalogue) {
    const keys = (event, other) => {
      const codes = shown();
      const at = codes.indexOf(code);
      const same = other === rows ? makers : rows;
      const to = { ArrowDown: codes[at + 1], ArrowUp: codes[at - 1], Home: codes[0], End: codes.at(-1) }[event.key];
      if (to) { roam(rows, to); event.preventDefault(); same[to].focus(); }
      else if (event.key === "ArrowUp" && at === 0) { event.preventDefault(); filter.focus(); }
      else if (event.key === (other === rows ? "ArrowLeft" : "ArrowRight")) { event.preventDefault(); other[code].focus(); }
      else if (event.key.startsWith("Arrow")) event.preventDefault();
    };
    rows[code] = element("button", {
      class: "gt-region", tabindex: -1, type: "button",
      onclick: event => { roam(rows, code); press(code, event.shiftKey); }, onkeydown: event => keys(event, makers),
      onfocus: () => look(code), onblur: () => look(null),
      onpointerenter: () => look(code), onpointerleave: () => look(null),
    }, element("span", { class: "gt-mark" }), element("span", { class: "gt-place" }, place,
      element("span", { class: "gt-code" }, code)), element("span", { class: "gt-role" }));
    makers[code] = element("button", {
      class: "gt-make-home", tabindex: -1, type: "button", "aria-label": `Make ${place} (${code}) home`,
      onclick: () => press(code, true), onkeydown: event => keys(event, rows),
    }, "Home");
    list.append(element("div", { class: "gt-row" }, rows[code], makers[code]));
  }

  const shown = () => catalogue.map(({ code }) => code).filter(code => !rows[code].parentElement.hidden);

  function sift() {
    const wanted = plain(filter.value);
    for (const { code, place, country } of catalogue) {
      rows[code].parentElement.hidden = !plain(`${place} ${country} ${code}`).includes(wanted);
    }
    none.hidden = shown().length > 0;
    if (shown().length && !shown().some(code => rows[code].tabIndex === 0)) roam(rows, shown()[0]);
  }

  function update() {
    const looks = model.get("looks");
    for (const { code } of catalogue) {
      const what = role(code);
      const away = model.get("rtt_ms")[code];
      rows[code].setAttribute("aria-pressed", String(Boolean(what)));
      rows[code].setAttribute("aria-label", spoken(code));
      rows[code].querySelector(".gt-mark").replaceChildren(
        shape("svg", { width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" },
          symbol(looks[code], what === "home" ? 3.4 : what ? 5.5 : 3.5), what === "home" ? house(3.4) : null));
      rows[code].querySelector(".gt-role").replaceChildren(
        element("b", {}, what), away == null || what === "home" ? "" : ms(away));
      makers[code].setAttribute("aria-pressed", String(what === "home"));
    }
    const said = model.get("message");
    message.className = `gt-message gt-${said.kind}`;
    if (message.textContent !== said.text) message.textContent = said.text;
    draw();
  }

  const message = element("div", { class: "gt-message", role: "status", "aria-live": "polite" });
  const hint = element("div", { class: "gt-hint" },
    "Click a Region to add it as a replica, click it again to remove it. The Home button in the list, or Shift+click, makes a "
    + "Region the home. Arrow keys move between Regions, Enter or Space chooses, Shift+Space makes home. "
    + "Times: measured median round trips from home (cloudping.co, 2024-25).");
  root.append(
    element("div", { class: "gt-both" }, map.box, element("div", { class: "gt-side" }, filter, list, none)), message, hint);
  root.addEventListener("keydown", event => {
    if (event.key !== "Escape") return;
    if (!filter.value) return leave(root);
    filter.value = "";
    sift();
    filter.focus();
  });
  el.append(root);
  const free = guardKeys(root);
  roam(points, start);
  roam(rows, start);
  update();
  model.on("change:message", update);
  return () => {
    model.off("change:message", update);
    map.close();
    free();
  };
}

function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
}

export default { render };
