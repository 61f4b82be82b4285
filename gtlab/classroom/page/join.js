// The page that tells a learner what travels, before they join.

const found = await (await fetch("api/class")).json();
document.getElementById("name").textContent = found.name;
document.title = found.name;
document.getElementById("notice").textContent = found.notice;
document.getElementById("on-hub").hidden = !found.hub;
document.getElementById("with-code").hidden = Boolean(found.hub);
const address = new URL(".", location.href).href.replace(/\/$/, "");
document.getElementById("command").textContent = `gtlab class join ${address} CODE --as "Your name"`;
