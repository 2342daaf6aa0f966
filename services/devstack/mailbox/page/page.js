// Lists what has come and shows one message. All of a mail's text goes in as text; its HTML only into the sandboxed frame.
"use strict";

const at = (id) => document.getElementById(id);
const person = ({ Name, Address }) => (Name ? `${Name} <${Address}>` : Address);
const people = (list) => list.map(person).join(", ");
const time = (moment) => new Date(moment).toLocaleString();
let open = location.hash.slice(1);
let shown = "";

async function refresh() {
  const page = await (await fetch("/api/v1/messages?limit=200")).json();
  at("count").textContent = page.total === 1 ? "1 message" : `${page.total} messages`;
  const state = page.messages.map((m) => m.ID).join() + open;
  if (state === shown) return;
  shown = state;
  at("list").replaceChildren(...page.messages.map(row));
  at("nothing").hidden = page.total > 0;
  at("message").hidden = page.total === 0 || !open;
}

function row(message) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-current", String(message.ID === open));
  for (const [tag, text] of [["strong", message.Subject || "(no subject)"], ["span", `to ${people(message.To)}`], ["span", `${time(message.Created)} · ${message.Snippet}`]]) {
    const line = document.createElement(tag);
    line.textContent = text;
    button.append(line);
  }
  button.addEventListener("click", () => { location.hash = message.ID; });
  const item = document.createElement("li");
  item.append(button);
  return item;
}

async function show(id) {
  open = id;
  const answer = await fetch(`/api/v1/message/${encodeURIComponent(id)}`);
  if (!answer.ok) { open = ""; return refresh(); }
  const message = await answer.json();
  const headers = await (await fetch(`/api/v1/message/${encodeURIComponent(id)}/headers`)).json();
  at("subject").textContent = message.Subject || "(no subject)";
  at("from").textContent = person(message.From);
  at("to").textContent = people(message.To);
  at("date").textContent = time(message.Date);
  at("html").srcdoc = `<base target="_blank">${message.HTML}`;
  at("text").textContent = message.Text;
  at("headers").textContent = Object.entries(headers).flatMap(([name, values]) => values.map((v) => `${name}: ${v}`)).join("\n");
  view(message.HTML ? "html" : "text");
  return refresh();
}

function view(name) {
  for (const button of document.querySelectorAll("[data-view]")) {
    const chosen = button.dataset.view === name;
    button.setAttribute("aria-pressed", String(chosen));
    at(button.dataset.view).hidden = !chosen;
  }
}

for (const button of document.querySelectorAll("[data-view]")) button.addEventListener("click", () => view(button.dataset.view));
at("clear").addEventListener("click", async () => { await fetch("/api/v1/messages", { method: "DELETE" }); open = ""; location.hash = ""; await refresh(); });
addEventListener("hashchange", () => show(location.hash.slice(1)));
if (open) show(open); else refresh();
setInterval(() => refresh().catch(() => { at("count").textContent = "the mailbox does not answer"; }), 2000);
