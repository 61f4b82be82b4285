// The instructor's page and the projector's. The token follows # in the address, so that it is sent to nobody but in
// the header of this page's own requests.

import { arrivals, bars, count, curve, element, finding, map, time } from "./draw.js";

const byId = id => document.getElementById(id);
const token = decodeURIComponent(location.hash.slice(1));
const projector = location.pathname.endsWith("/projector");
const NUMBERS = ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11"];
const SHOWN_S = 180;  // for how long after an event the projector shows it first: what waited arrives then
let state = null, world = null, ahead = 0, hidden = projector, stream = null, pinned = "";
document.body.classList.toggle("projector", projector);

async function ask(path, body) {
  const answer = await fetch(`api/${path}`, { headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
                                              method: body ? "POST" : "GET", body: body && JSON.stringify(body) });
  if (!answer.ok) throw Object.assign(new Error((await answer.json()).message), { status: answer.status });
  return answer;
}

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

async function act(body) {
  try {
    await ask("act", body);
    say("");
    return true;
  } catch (error) {
    say(error.message);
    return false;
  }
}

// The stream of states. When it ends it is opened again; what was shown stays.
async function follow() {
  for (let wait = 1; ; wait = Math.min(10, 2 * wait)) {
    const mine = stream = new AbortController();
    try {
      const answer = await fetch(`api/view?names=${hidden ? "no" : "yes"}`, { headers: { authorization: `Bearer ${token}` }, signal: mine.signal });
      if (answer.status === 401) {
        say("This address has no valid token. Open the one that gtlab class start prints; on a JupyterHub, open Services → class.");
        byId("count").textContent = "Not connected";
        return;
      }
      if (answer.ok) {
        say("");
        wait = 1;
        await read(answer.body.getReader());
      }
    } catch (error) {
      if (mine.signal.aborted) wait = 0.1;
    }
    if (!mine.signal.aborted) {
      byId("count").textContent = "The board does not answer. Trying again…";
      await new Promise(done => setTimeout(done, 1000 * wait));
    }
  }
}

async function read(reader) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (!part.startsWith("data: ")) continue;
      const found = JSON.parse(part.slice(6));
      ahead = found.now - Date.now() / 1000;
      state = found.state;
      show();
    }
  }
}

function show() {
  byId("name").textContent = document.title = state.name;
  if (state.hub) {
    byId("how").replaceChildren(element("span", { class: "quiet" }, "Join in notebook 00: "), element("b", {}, 'class_url = "hub"'));
    byId("codes").hidden = true;
  } else {
    byId("url").textContent = state.url;
    byId("code").textContent = `${state.code.slice(0, 4)}-${state.code.slice(4)}`;
  }
  byId("count").textContent = `${count(state.connected, "learner")} connected, ${state.joined} joined`;
  showQuestion();
  showWhere();
  if (state.projector) byId("open-projector").href = `projector#${state.projector}`;
  if (state.learners) byId("learners").replaceChildren(learners());
  byId("learners-card").hidden = !state.learners;
  showEvent();
  showPace();
  byId("curve").replaceChildren(...(state.curve ? [curve(state.curve), element("p", { class: "finding" }, finding(state.curve)
    + (state.curve.left_out ? ` Left out, because measured elsewhere: ${count(state.curve.left_out, "learner")}.` : ""))]
    : [element("p", { class: "quiet" }, "Nobody has measured yet. Notebook 03 measures the replication lag, and 04 with more probes.")]));
  const places = state.places;
  byId("map-card").hidden = !places.regions.length || !world;
  if (places.regions.length && world) byId("map").replaceChildren(map(places, world));
  byId("lags").replaceChildren(...lags(places));
}

function showQuestion() {
  const select = byId("question"), id = pinned || state.shown || state.questions[0].id;
  if (!select.children.length) {
    select.append(...state.questions.map(each => element("option", { value: each.id }, each.id)));
  }
  if (document.activeElement !== select) select.value = id;
  const question = state.questions.find(each => each.id === id), measured = byId("measured").checked;
  byId("question-text").textContent = question.text;
  const most = Math.max(1, question.answered);
  byId("spread").replaceChildren(bars(question.options.map(option => ({
    label: option.text + (measured && option.measured ? ` (measured by ${option.measured})` : ""),
    share: option.count / most, value: option.count }))));
  byId("spread-finding").textContent = question.finding + (measured && question.revealed
    ? `. ${question.right} of ${question.revealed} were right.` : "");
}

function showWhere() {
  const most = Math.max(1, state.joined);
  byId("where").replaceChildren(bars(state.notebooks.map(each => ({
    label: `${each.number} ${each.title}`, share: each.here / most,
    value: `${each.here} here, ${each.solved} solved` }))));
}

function learners() {
  if (!state.learners.length) return element("p", { class: "quiet" }, "Nobody has joined yet.");
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...[
    ["Name", "name"], ["Notebook", ""], ["Cell", ""], ["Minutes there", "number"], ["Predicted", "number"], ["Solved", ""], ["Stuck?", ""],
    ["Events", ""], ["", ""]].map(([text, kind]) => element("th", { scope: "col", class: kind }, text)))));
  const body = element("tbody");
  const sorted = [...state.learners].sort((a, b) => !!b.why.length - !!a.why.length || b.connected - a.connected || a.name.localeCompare(b.name));
  for (const each of sorted) {
    const remove = element("button", { title: `Remove ${each.name} and what they have sent` }, "Remove");
    remove.addEventListener("click", () => {
      if (confirm(`Remove ${each.name}, and delete what they have sent?`)) act({ do: "remove", learner: each.id });
    });
    body.append(element("tr", { class: !each.connected ? "away" : each.why.length ? "stuck" : "" },
      element("td", { class: "name" }, each.name + (each.connected ? "" : " (not connected)")),
      element("td", {}, each.notebook ?? "–"),
      element("td", {}, each.cell ? `${each.cell} of ${each.cells}` : "–"),
      element("td", { class: "number" }, each.minutes == null ? "–" : String(Math.floor(each.minutes))),
      element("td", { class: "number" }, String(each.predicted)),
      element("td", {}, each.solved.join(" ") || "–"),
      element("td", { class: "why" }, each.why.join(", ")),
      element("td", {}, each.events ? "" : "opted out"), element("td", {}, remove)));
  }
  table.append(body);
  return table;
}

function showEvent() {
  const event = state.event, form = byId("event-form");
  byId("event-card").hidden = projector && !event;
  form.elements.lag.closest("label").hidden = !form.elements.event.value.startsWith("lag");
  byId("arrivals").replaceChildren(...(event?.arrivals.length ? [arrivals(event, Date.now() / 1000 + ahead), element("p", { class: "finding" },
    "Each dot is a write that arrived in a replica of some learner: when, and how late (simulated). The shaded time is the event.")]
    : event && event.ends > event.starts ? [element("p", { class: "quiet" }, "No write has arrived yet. Let everybody run a cell that writes.")] : []));
  tick();
}

function tick() {
  const event = state?.event, now = Date.now() / 1000 + ahead;
  byId("mend").disabled = !event || now >= event.ends;
  if (!event) return;
  const listed = Object.entries(event.states).map(([name, number]) => `${name}: ${number}`).join(", ");
  const states = listed && `${listed[0].toUpperCase()}${listed.slice(1)}.`;
  byId("event-card").classList.toggle("now", now < event.ends + (event.arrivals.length ? SHOWN_S : 0));
  const called = event.ends <= event.starts;
  byId("countdown").textContent = called ? "The event was called off." : now < event.starts
    ? `In ${Math.ceil(event.starts - now)} s: ${event.words}`
    : now < event.ends ? `Now, for ${Math.ceil(event.ends - now)} s: ${event.words}. ${states}`
    : `Over, after ${Math.round(event.ends - event.starts)} s: ${event.words}. ${states}`;
}

function showPace() {
  const form = byId("pace-form");
  const options = last => NUMBERS.map(each => element("option", { value: each }, each === "11" ? "all" : each));
  if (!form.elements.notebooks.children.length) {
    form.elements.notebooks.append(...options());
    form.elements.solutions.append(element("option", { value: "" }, "none"), ...options());
    byId("stage-form").elements.notebook.append(...NUMBERS.map(each => element("option", { value: each }, each)));
    form.elements.notebooks.value = state.pace.notebooks;
    form.elements.solutions.value = state.pace.solutions;
  }
  const stage = state.stage;
  byId("staged").textContent = stage ? `${stage.notebook}: ${Object.entries(stage.states).map(([name, number]) => `${name} ${number}`).join(", ") || "asked"}` : "";
  byId("notes").replaceChildren(...[...state.notes].reverse().map(each => element("li", {}, each.text)));
}

function lags(places) {
  if (!places.links.length) return [];
  const rows = [...places.links].sort((a, b) => b.learners - a.learners).map(each => element("tr", {},
    element("td", {}, `${each.source} → ${each.target}`), element("td", { class: "number" }, String(each.learners)),
    element("td", { class: "number" }, `${time(each.low_ms)} to ${time(each.high_ms)}`)));
  return [element("details", {}, element("summary", {}, `Median lags between ${count(rows.length, "pair")} of Regions, ${places.backend}`),
    element("table", {}, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "From → to"),
      element("th", { scope: "col", class: "number" }, "Learners"), element("th", { scope: "col", class: "number" }, "Median lag"))),
      element("tbody", {}, ...rows)))];
}

byId("names").addEventListener("click", () => {
  hidden = !hidden;
  byId("names").setAttribute("aria-pressed", String(hidden));
  stream?.abort();
});
byId("question").addEventListener("change", async event => {
  pinned = event.target.value;
  event.target.blur();
  show();
  await act({ do: "show", question: pinned });
  pinned = "";
});
byId("measured").addEventListener("change", show);
byId("event-form").addEventListener("input", () => state && showEvent());
byId("event-form").addEventListener("submit", event => {
  event.preventDefault();
  const form = event.target.elements, [what, place, value] = form.event.value.split(" ");
  act({ do: "event", what, place, value: what === "lag" ? Number(form.lag.value) : value ?? null,
        seconds: Number(form.seconds.value), countdown_s: Number(form.countdown.value) });
});
byId("mend").addEventListener("click", () => act({ do: "mend" }));
byId("pace-form").addEventListener("submit", event => {
  event.preventDefault();
  const form = event.target.elements;
  act({ do: "pace", notebooks: form.notebooks.value, solutions: form.solutions.value });
});
byId("stage-form").addEventListener("submit", event => {
  event.preventDefault();
  act({ do: "stage", notebook: event.target.elements.notebook.value });
});
byId("note-form").addEventListener("submit", async event => {
  event.preventDefault();
  if (await act({ do: "note", text: event.target.elements.text.value })) event.target.reset();
});
byId("new-code").addEventListener("click", () => act({ do: "new code" }));
for (const button of document.querySelectorAll("[data-export]")) {
  button.addEventListener("click", async () => {
    try {
      const answer = await ask(`export?what=${button.dataset.export}`);
      const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: `class-${button.dataset.export}.csv` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) {
      say(error.message);
    }
  });
}

setInterval(() => state && tick(), 250);
world = await (await fetch("api/map")).json();
follow();
