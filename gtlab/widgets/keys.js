// Guards the keys of the box of plain widgets that this element is put into.

function render({ model, el }) {
  let free = () => {};
  el.style.display = "none";
  // The box has its children only after this returns.
  const waiting = requestAnimationFrame(() => {
    const box = el.closest(".widget-vbox, .jupyter-widget-vbox") ?? el.parentElement;
    if (!box) return;
    if (model.get("name")) fill(box, { role: "group", "aria-label": model.get("name") }, []);
    free = guardKeys(box);
  });
  return () => {
    cancelAnimationFrame(waiting);
    free();
  };
}

export default { render };
