// A question with options: radio buttons, which the browser itself makes usable by keyboard and screen readers.

const PATIENCE_MS = 4000; // until a choice that the kernel does not confirm is shown as not saved

function render({ model, el }) {
  // Each widget has this module for itself, so a counter would give all questions of a page one group of buttons.
  const name = `gt-quiz-${crypto.randomUUID?.() ?? Math.random()}`;
  const message = element("div", { class: "gt-hint", role: "status", "aria-live": "polite" });
  const box = element("fieldset", {}, element("legend", {}, model.get("question")));
  const inputs = {};
  let unconfirmed;
  for (const [key, text] of model.get("options")) {
    inputs[key] = element("input", { type: "radio", name, value: key, onchange: () => choose(key) });
    box.append(element("label", {}, inputs[key], element("span", {}, text)));
  }
  const root = element("div", { class: "gt-root gt-quiz" }, box, message);
  root.addEventListener("keydown", event => {
    if (ofTheNotebook(event)) return;
    if (event.key === "Escape") leave(root);
    else if (event.key === "Enter" && event.target.type === "radio") event.target.click();
  });

  function choose(key) {
    clearTimeout(unconfirmed);
    unconfirmed = setTimeout(() => {
      update();
      message.textContent = "Not saved: the kernel is busy or was restarted. If it is idle, run this cell again.";
    }, PATIENCE_MS);
    try {
      model.send({ choose: key });
    } catch {
      // The kernel was restarted: there is nobody to send it to, and nobody who confirms it.
    }
  }

  function update() {
    clearTimeout(unconfirmed);
    const chosen = model.get("chosen");
    for (const [key, input] of Object.entries(inputs)) {
      input.checked = key === chosen;
      input.parentElement.classList.toggle("gt-chosen", key === chosen);
    }
    box.disabled = model.get("ended");
    message.textContent = model.get("message");
  }

  el.append(root);
  const free = guardKeys(root);
  update();
  model.on("change:chosen change:message change:ended", update);
  return () => {
    model.off("change:chosen change:message change:ended", update);
    clearTimeout(unconfirmed);
    free();
  };
}

export default { render };
