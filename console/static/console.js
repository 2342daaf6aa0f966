// Asks for the page again every 2 s and puts in what has changed, so that selections and opened details stay.
"use strict";

const EVERY_MS = 2000;
const state = document.getElementById("state");
const calm = state.textContent;
const shown = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.id, part.innerHTML]));

async function refresh() {
  const answer = await fetch(location.href, { redirect: "manual" });
  if (answer.type === "opaqueredirect") return location.reload(); // signed out: to the door
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of shown.keys()) {
    const [fresh, old] = [page.getElementById(id), document.getElementById(id)];
    if (!fresh || fresh.innerHTML === shown.get(id)) continue;
    shown.set(id, fresh.innerHTML);
    const opened = new Set([...old.querySelectorAll("details[open]")].map((details) => details.dataset.key));
    old.replaceChildren(...fresh.childNodes);
    for (const details of old.querySelectorAll("details")) details.open = opened.has(details.dataset.key);
  }
}

async function loop() {
  if (!document.hidden) {
    try {
      await refresh();
      state.textContent = calm;
      document.body.classList.remove("stale");
    } catch {
      state.textContent = "The console does not answer; what you see may be old.";
      document.body.classList.add("stale");
    }
  }
  setTimeout(loop, EVERY_MS);
}

if (shown.size) setTimeout(loop, EVERY_MS);
