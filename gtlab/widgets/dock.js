// Put a widget beside the notebook, so that cells further down can be run while it is seen, and back into its cell.

function dockable(root, el, changed) {
  let dock = null;
  const shell = document.querySelector(".jp-LabShell, .jp-NotebookShell, #main");
  const button = element("button", { type: "button", "aria-pressed": "false", onclick: () => (dock ? back() : beside()) },
    "Open beside");

  function room(width) {
    if (!shell) return;
    shell.style.right = width;
    if (width) shell.style.width = "auto";
    else shell.style.removeProperty("width");
    window.dispatchEvent(new Event("resize")); // JupyterLab lays itself out again
  }

  function beside() {
    dock = element("aside", { class: "gt-dock", "aria-label": "Beside the notebook" });
    const more = shell?.matches(".jp-LabShell") ? " For more room, hide the list of files with Ctrl+B (⌘B on a Mac)." : "";
    el.append(element("p", { class: "gt-hint gt-away" }, `Open beside the notebook.${more}`));
    dock.append(root);
    document.body.append(dock);
    room(`${dock.offsetWidth}px`);
    button.textContent = "Back into the cell";
    button.setAttribute("aria-pressed", "true");
    button.focus();
    changed();
  }

  function back() {
    close();
    el.querySelector(".gt-away")?.remove();
    el.append(root);
    button.textContent = "Open beside";
    button.setAttribute("aria-pressed", "false");
    button.focus();
    changed();
  }

  function close() {
    if (!dock) return;
    dock.remove();
    dock = null;
    room("");
  }

  return { button, close };
}
