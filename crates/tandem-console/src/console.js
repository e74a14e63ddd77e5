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

const events = new EventSource("/api/v1/events");
events.addEventListener("status", () => { document.body.classList.remove("stale"); refresh(); });
events.addEventListener("error", () => document.body.classList.add("stale"));
showTimes();
