// What all pages share. Everything works without it; it only makes it smoother.
"use strict";

// A message in the address bar's history is said once: where htmx changed a part, tell it.
document.addEventListener("htmx:afterSwap", (event) => {
  const target = event.detail.target;
  if (target.id !== "problem") {
    const problem = document.getElementById("problem");
    if (problem) problem.replaceChildren();
  }
});

document.addEventListener("htmx:sendError", () => {
  const problem = document.getElementById("problem");
  if (!problem) return;
  const line = document.createElement("p");
  line.className = "notice alarm";
  line.textContent = "The server does not answer. Nothing was changed; try again.";
  problem.replaceChildren(line);
});

// Forms that ask before they do something that cannot be undone.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});
