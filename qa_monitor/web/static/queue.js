// The review queue: within the list the arrow keys go from call to call.
"use strict";

document.addEventListener("keydown", (event) => {
  if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
  const row = event.target.closest?.("#queue-list tbody tr");
  if (!row) return;
  const next = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
  const link = next?.querySelector("th a");
  if (!link) return;
  event.preventDefault();
  link.focus();
});
