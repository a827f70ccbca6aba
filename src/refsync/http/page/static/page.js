// What the page does more with JavaScript than without: it stays fresh, all changes are selected at once, and what
// was typed ahead of the scripts is looked at, too.
"use strict";

const isTouched = (field) =>
  field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
const isBusy = (region) =>
  region.contains(document.activeElement) || [...region.querySelectorAll("input, textarea")].some(isTouched);

// A live region waits while somebody works in it, or nobody looks.
document.addEventListener("htmx:beforeRequest", (event) => {
  const region = event.target.closest("[data-live]");
  if (region === event.target && (document.hidden || isBusy(region))) event.preventDefault();
});

const away = (is) => { document.getElementById("away").hidden = !is; };
document.addEventListener("htmx:sendError", () => away(true));
document.addEventListener("htmx:responseError", () => away(true));
document.addEventListener("htmx:afterOnLoad", (event) => { if (event.detail.successful) away(false); });

const addSelectAll = () => {
  const place = document.querySelector("[data-all]");
  if (!place || place.firstChild) return;
  const all = document.createElement("input");
  all.type = "checkbox";
  all.setAttribute("aria-label", "Select all that are shown");
  all.addEventListener("change", () => {
    for (const each of document.querySelectorAll("td.tick input")) each.checked = all.checked;
  });
  place.append(all);
};
document.addEventListener("DOMContentLoaded", addSelectAll);
document.addEventListener("htmx:afterSettle", addSelectAll);

// htmx listens by now: it was told of the document first.
document.addEventListener("DOMContentLoaded", () => {
  for (const field of document.querySelectorAll("[hx-trigger^=input]"))
    if (isTouched(field)) field.dispatchEvent(new Event("input"));
});
