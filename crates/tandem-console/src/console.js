// Brings the page up to date: the server writes the HTML, this only puts it in place.
"use strict";

let asking = false;
let again = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const answer = await fetch("/pair");
    if (answer.ok) {
      document.getElementById("pair").innerHTML = await answer.text();
      showTimes();
    }
  } finally {
    asking = false;
    if (again) { again = false; setTimeout(refresh, 200); }
  }
}

function showTimes() {
  for (const time of document.querySelectorAll("time[data-ms]")) {
    time.textContent = new Date(Number(time.dataset.ms)).toLocaleString();
  }
}

// Buttons: asks, sends, says what came of it. A token is kept for this tab only.
async function act(button) {
  if (!window.confirm(button.dataset.ask)) { return; }
  const headers = { "Content-Type": "application/json" };
  let answer;
  for (const attempt of [1, 2]) {
    const token = sessionStorage.getItem("token");
    if (token) { headers.Authorization = "Bearer " + token; }
    answer = await fetch("/api/v1/" + button.dataset.do, { method: "POST", headers });
    if (answer.status !== 401 || attempt === 2) { break; }
    const given = window.prompt("admin token");
    if (!given) { return; }
    sessionStorage.setItem("token", given);
  }
  if (answer.status === 401) { sessionStorage.removeItem("token"); }
  const said = await answer.json();
  await refresh();
  const place = document.getElementById("said");
  if (place) { place.textContent = said.message || [said.what, said.why, said.todo, said.error].filter(Boolean).join("; "); }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (button) { act(button); }
});

const events = new EventSource("/api/v1/events");
events.addEventListener("status", () => { document.body.classList.remove("stale"); refresh(); });
events.addEventListener("error", () => document.body.classList.add("stale"));
showTimes();
