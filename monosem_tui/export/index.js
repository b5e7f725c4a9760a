"use strict";
// The list of features: rows are [number, label, token, density, max, mean, raised tokens, tags, bookmark, rank by what
// is worth seeing, strongest example before its peak, at it, after it].
const rows = JSON.parse(document.getElementById("features").textContent);
const NUMBER = 0, LABEL = 1, TOKEN = 2, DENSITY = 3, MAX = 4, MEAN = 5, RAISES = 6, TAGS = 7, MARK = 8, WORTH = 9,
  BEFORE = 10, PEAK = 11, AFTER = 12;
const COLUMNS = [NUMBER, LABEL, TOKEN, PEAK, DENSITY, MAX, MEAN, RAISES]; // what the heads sort by
const HEIGHT = 28, MARGIN = 12;
const view = document.getElementById("view"), body = view.querySelector("tbody");
const search = document.getElementById("search"), dead = document.getElementById("dead");
const worth = document.getElementById("worth"), said = document.getElementById("said"), heads = [...view.querySelectorAll("th")];
const texts = rows.map((row) => [row[LABEL], row[TAGS], row[TOKEN], row[RAISES], row[BEFORE] + row[PEAK] + row[AFTER]].join(" ").replaceAll("·", " ").toLowerCase());
const order = new Intl.Collator("en", { numeric: true });
let shown = [], cursor = 0, key = WORTH, down = false;
view.classList.toggle("unlabelled", !rows.some((row) => row[LABEL] || row[TAGS]));

function count(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, " ");
}

function share(value) {
  if (value <= 0) return "–";
  if (value < 1e-4) return value.toExponential(0);
  return (100 * value).toFixed(value >= 0.1 && value < 0.9 ? 1 : 2) + " %";
}

function activation(value) {
  if (!(value > 0)) return "–";
  if (value < 0.005) return value.toExponential(0);
  return value.toFixed(value < 0.995 ? 2 : value < 99.95 ? 1 : 0);
}

function compare(a, b) {
  const x = rows[a][key], y = rows[b][key];
  if (typeof x === "number") return (down ? y - x : x - y) || a - b;
  if (!x !== !y) return x ? -1 : 1; // what has no text comes last either way
  return (down ? order.compare(y, x) : order.compare(x, y)) || a - b;
}

function choose(keep) {
  const typed = search.value.replaceAll("·", " ").toLowerCase(), words = typed.split(" ").filter(Boolean);
  const number = /^\s*\d+\s*$/.test(typed) ? Number(typed) : -1;
  shown = [];
  for (let i = 0; i < rows.length; i++) {
    if (i === number) continue;
    if (rows[i][DENSITY] <= 0 && !dead.checked) continue;
    if (words.every((word) => texts[i].includes(word))) shown.push(i);
  }
  shown.sort(compare);
  if (number >= 0 && number < rows.length) shown.unshift(number);
  const all = `${count(rows.length)} features`;
  said.value = shown.length === rows.length ? all : `${count(shown.length)} of ${all}`;
  cursor = Math.max(0, shown.indexOf(keep));
  heads.forEach((head, i) =>
    head.setAttribute("aria-sort", COLUMNS[i] !== key ? "none" : down ? "descending" : "ascending"));
  worth.setAttribute("aria-pressed", key === WORTH);
  view.querySelector("table").setAttribute("aria-rowcount", shown.length + 1);
  reveal();
}

function cell(tr, text, kind) {
  const td = tr.insertCell(), isolated = document.createElement("bdi");
  isolated.textContent = text;
  td.append(isolated);
  if (kind) td.className = kind;
  return td;
}

// Peaks stand below each other.
function example(tr, row) {
  const td = tr.insertCell();
  td.className = "t mid example";
  for (const [name, place] of [["before", BEFORE], ["h5", PEAK], ["after", AFTER]]) {
    const part = document.createElement("bdi");
    part.className = name;
    part.textContent = row[place];
    td.append(part);
  }
}

function line(place) {
  const row = rows[shown[place]], tr = document.createElement("tr");
  tr.dataset.place = place;
  tr.setAttribute("aria-rowindex", place + 2);
  if (place === cursor) tr.className = "at";
  const link = document.createElement("a");
  link.href = `features/${row[NUMBER]}.html`;
  link.textContent = row[NUMBER];
  link.tabIndex = -1;
  tr.insertCell().append(link, row[MARK] ? " ★" : "");
  cell(tr, row[LABEL] + (row[TAGS] ? `  ${row[TAGS]}` : ""), "label").title = row[LABEL];
  cell(tr, row[TOKEN], "t");
  example(tr, row);
  cell(tr, share(row[DENSITY]), "n mid");
  cell(tr, activation(row[MAX]), "n low");
  cell(tr, activation(row[MEAN]), "n least");
  cell(tr, row[RAISES], "t low");
  return tr;
}

function space(rowsMissing) {
  const tr = document.createElement("tr"), td = tr.insertCell();
  td.className = "space";
  td.colSpan = heads.filter((head) => head.offsetParent).length; // one more would be a column of its own
  td.style.height = `${rowsMissing * HEIGHT}px`;
  tr.setAttribute("aria-hidden", "true");
  return tr;
}

// Only the rows in sight are in the document.
function draw() {
  const first = Math.max(0, Math.floor(view.scrollTop / HEIGHT) - MARGIN);
  const last = Math.min(shown.length, first + Math.ceil(view.clientHeight / HEIGHT) + 2 * MARGIN);
  const lines = [space(first)];
  for (let place = first; place < last; place++) lines.push(line(place));
  body.replaceChildren(...lines, space(shown.length - last));
}

function reveal() {
  draw(); // first, so that the list is as long as it has to be to scroll
  const top = cursor * HEIGHT, room = view.clientHeight - 2 * HEIGHT;
  if (top < view.scrollTop) view.scrollTop = top;
  else if (top > view.scrollTop + room) view.scrollTop = top - room;
  draw();
}

function move(by) {
  cursor = Math.min(Math.max(0, cursor + by), Math.max(0, shown.length - 1));
  reveal();
}

// So that going back finds the list as it was left.
function remember() {
  const state = new URLSearchParams();
  if (search.value) state.set("q", search.value);
  if (key !== WORTH || down) state.set("sort", (down ? "-" : "") + key);
  if (dead.checked) state.set("dead", "1");
  if (shown.length) state.set("at", rows[shown[cursor]][NUMBER]);
  try {
    history.replaceState(null, "", `#${state}`);
    sessionStorage.setItem(location.pathname, `#${state}`);
  } catch { /* a browser may forbid either; the list works without */ }
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1)), sort = state.get("sort") || String(WORTH);
  search.value = state.get("q") || "";
  dead.checked = state.has("dead");
  key = Number(sort.replace("-", ""));
  down = sort.startsWith("-");
  if (!COLUMNS.includes(key)) { key = WORTH; down = false; }
  choose(state.has("at") ? Number(state.get("at")) : undefined);
  (location.hash === "#search" ? search : view).focus();
}

function open(place) {
  cursor = place;
  remember();
  location.href = `features/${rows[shown[place]][NUMBER]}.html`;
}

const page = () => Math.max(1, Math.floor(view.clientHeight / HEIGHT) - 2);
const KEYS = {
  j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
  g: () => move(-rows.length), Home: () => move(-rows.length), G: () => move(rows.length), End: () => move(rows.length),
  PageDown: () => move(page()), PageUp: () => move(-page()),
  Enter: () => shown.length && open(cursor), "/": () => search.select(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = document.activeElement;
  if (at === search) {
    if (["Enter", "Escape", "ArrowDown"].includes(event.key)) { event.preventDefault(); view.focus(); remember(); }
    return;
  }
  if (event.key === "Enter" && at !== view && at !== document.body) return;
  if (at === dead || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});
heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
  down = COLUMNS[i] === key ? !down : [DENSITY, MAX, MEAN].includes(COLUMNS[i]);
  key = COLUMNS[i];
  choose();
  remember();
}));
worth.addEventListener("click", () => {
  key = WORTH;
  down = false;
  choose();
  remember();
});
body.addEventListener("click", (event) => {
  const tr = event.target.closest("tr[data-place]");
  if (!tr) return;
  const place = Number(tr.dataset.place);
  if (event.target.closest("a")) { cursor = place; remember(); return; }
  if (!String(getSelection())) open(place);
});
search.addEventListener("input", () => choose());
dead.addEventListener("change", () => { choose(); remember(); });
search.form.addEventListener("submit", (event) => event.preventDefault());
view.addEventListener("scroll", draw, { passive: true });
addEventListener("resize", draw);
restore();
