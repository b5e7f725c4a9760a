"use strict";
// Keys of a feature's page, and the way back to the list as it was left.
const link = (kind) => document.querySelector(`nav a[rel=${kind}]`), up = link("up");
try {
  up.hash = sessionStorage.getItem(up.pathname) || "";
} catch { /* a browser may forbid it; the list begins anew then */ }
const KEYS = { j: "next", k: "prev", "/": "search", Escape: "up" };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
  const to = link(KEYS[event.key]);
  if (!to) return;
  event.preventDefault();
  location.href = to.href;
});
