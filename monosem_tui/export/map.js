"use strict";
// A map of features: `features` are rows of [number, text, density, max, kind], each view has places [row, x, y], groups
// of rows by colour, and names of clusters [text, x, y].
const data = JSON.parse(document.getElementById("map").textContent);
const features = data.features, views = data.views;
const NUMBER = 0, TEXT = 1, DENSITY = 2, MAX = 3, KIND = 4;
const INK = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const GREY = "#888888", FAINT = "#88888840", REACH = 14, CLOSEST = 4000;
const plane = document.getElementById("plane"), canvas = plane.querySelector("canvas"), pen = canvas.getContext("2d");
const card = document.getElementById("card"), legend = document.getElementById("legend");
const which = document.getElementById("view"), colour = document.getElementById("colour");
const search = document.getElementById("search"), said = document.getElementById("said");
const texts = features.map((row) => `${row[NUMBER]} ${row[TEXT]} ${data.kinds[row[KIND]] ?? ""}`.replaceAll("·", " ").toLowerCase());
let view = views[0], lit = null, at = { x: 0, y: 0, scale: [1, 1] }, whole = at, chosen = -1, drag = null;

function fit() {
  const xs = view.places.map((place) => place[1]), ys = view.places.map((place) => place[2]);
  const span = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
  const [[left, right], [bottom, top]] = [span(xs), span(ys)];
  let sx = (plane.clientWidth * 0.92) / (right - left || 1), sy = (plane.clientHeight * 0.92) / (top - bottom || 1);
  if (!view.axes) sx = sy = Math.min(sx, sy);
  whole = { x: (left + right) / 2, y: (bottom + top) / 2, scale: [sx, sy] };
  at = whole;
}

function place(x, y) {
  return [plane.clientWidth / 2 + (x - at.x) * at.scale[0], plane.clientHeight / 2 - (y - at.y) * at.scale[1]];
}

function group(row) {
  return colour.value === "kind" ? features[row][KIND] : colour.value === "cluster" ? view.groups[row] ?? -1 : 0;
}

function draw() {
  const ratio = window.devicePixelRatio || 1, style = getComputedStyle(document.body);
  canvas.width = plane.clientWidth * ratio;
  canvas.height = plane.clientHeight * ratio;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, plane.clientWidth, plane.clientHeight);
  const size = Math.min(5, Math.max(1.2, 60 / Math.sqrt(view.places.length) * Math.sqrt(at.scale[0] / whole.scale[0])));
  for (const front of [false, true]) {
    for (const [row, x, y] of view.places) {
      if ((lit === null || lit.has(row)) !== front) continue;
      const [px, py] = place(x, y), of = group(row);
      if (px < -9 || py < -9 || px > plane.clientWidth + 9 || py > plane.clientHeight + 9) continue;
      pen.fillStyle = !front ? FAINT : of < 0 ? GREY : INK[of % INK.length];
      pen.beginPath();
      pen.arc(px, py, front ? size : size * 0.8, 0, 7);
      pen.fill();
    }
  }
  pen.font = "12px system-ui, sans-serif";
  pen.textAlign = "center";
  axes(style);
  names(style);
}

function axes(style) {
  if (!view.axes) return;
  pen.fillStyle = pen.strokeStyle = style.getPropertyValue("--dim");
  for (let power = -9; power <= 1; power++) {
    const [px] = place(power, 0);
    if (px > 40 && px < plane.clientWidth - 20) pen.fillText(`1e${power}`, px, plane.clientHeight - 6);
  }
  const low = at.y - plane.clientHeight / 2 / at.scale[1], high = at.y + plane.clientHeight / 2 / at.scale[1];
  const step = 10 ** Math.floor(Math.log10((high - low) / 3 || 1));
  pen.textAlign = "left";
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) {
    const [, py] = place(0, value);
    pen.fillText(view.axes.log ? (10 ** value).toPrecision(2) : value.toPrecision(3), 4, py + 4);
  }
  pen.fillText(view.axes.y, 60, 16);
  pen.textAlign = "right";
  pen.fillText(view.axes.x, plane.clientWidth - 8, plane.clientHeight - 24);
}

function names(style) {
  const taken = [];
  pen.textAlign = "center";
  pen.lineWidth = 3;
  pen.strokeStyle = style.getPropertyValue("--back");
  pen.fillStyle = style.getPropertyValue("--text");
  for (const [text, x, y] of view.names) {
    const [px, py] = place(x, y), wide = pen.measureText(text).width / 2 + 4;
    if (px < wide || py < 12 || px > plane.clientWidth - wide || py > plane.clientHeight - 4) continue;
    if (taken.some(([qx, qy, other]) => Math.abs(px - qx) < wide + other && Math.abs(py - qy) < 16)) continue;
    taken.push([px, py, wide]);
    pen.strokeText(text, px, py);
    pen.fillText(text, px, py);
  }
}

function nearest(px, py) {
  let best = -1, least = REACH * REACH;
  for (const [row, x, y] of view.places) {
    if (lit !== null && !lit.has(row)) continue;
    const [qx, qy] = place(x, y), apart = (px - qx) ** 2 + (py - qy) ** 2;
    if (apart < least) [best, least] = [row, apart];
  }
  return best;
}

function hover(px, py) {
  chosen = nearest(px, py);
  card.hidden = chosen < 0;
  canvas.style.cursor = chosen < 0 ? "crosshair" : "pointer";
  if (chosen < 0) return;
  const row = features[chosen], kind = data.kinds[row[KIND]];
  card.querySelector("b").textContent = row[NUMBER];
  card.querySelector("span").textContent = row[TEXT];
  card.querySelector("small").textContent =
    `density ${row[DENSITY].toPrecision(2)} · max ${row[MAX].toPrecision(3)}${kind ? ` · ${kind}` : ""}`;
  card.style.left = `${Math.min(px + 14, plane.clientWidth - card.offsetWidth - 4)}px`;
  card.style.top = `${Math.min(py + 14, plane.clientHeight - card.offsetHeight - 4)}px`;
}

function explain() {
  legend.replaceChildren();
  const titles = colour.value === "kind" ? data.kinds : [];
  for (const [number, title] of titles.entries()) {
    const dot = document.createElement("i"), text = document.createElement("span");
    dot.style.background = INK[number % INK.length];
    text.textContent = title;
    legend.append(dot, text);
  }
  if (colour.value === "cluster") legend.textContent = "clusters; near ones differ in colour";
}

function filter() {
  const words = search.value.replaceAll("·", " ").toLowerCase().split(" ").filter(Boolean);
  lit = words.length ? new Set(view.places.map((one) => one[0]).filter((row) => words.every((word) => texts[row].includes(word)))) : null;
  said.value = lit === null ? `${view.places.length} features` : `${lit.size} of ${view.places.length} features`;
  draw();
}

function show() {
  view = views[Number(which.value)];
  const choices = [...(view.axes ? [] : ["cluster"]), ...(data.kinds.length ? ["kind"] : []), "plain"];
  const before = colour.value;
  colour.replaceChildren(...choices.map((name) => new Option(name, name)));
  colour.value = choices.includes(before) ? before : choices[0];
  card.hidden = true;
  fit();
  explain();
  filter();
}

views.forEach((one, number) => which.append(new Option(one.title, String(number))));
which.value = String(views.length - 1);
which.addEventListener("change", show);
colour.addEventListener("change", () => { explain(); draw(); });
search.addEventListener("input", filter);
canvas.addEventListener("pointerdown", (event) => {
  drag = { x: event.offsetX, y: event.offsetY, from: at, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (drag === null) return hover(event.offsetX, event.offsetY);
  const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
  drag.moved ||= Math.hypot(dx, dy) > 3;
  at = { ...at, x: drag.from.x - dx / at.scale[0], y: drag.from.y + dy / at.scale[1] };
  card.hidden = true;
  draw();
});
canvas.addEventListener("pointerup", (event) => {
  const moved = drag?.moved;
  drag = null;
  if (moved) return;
  hover(event.offsetX, event.offsetY);
  if (chosen >= 0) location.href = `features/${features[chosen][NUMBER]}.html`;
});
canvas.addEventListener("pointerleave", () => { card.hidden = true; });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const now = at.scale[0] / whole.scale[0], factor = Math.min(CLOSEST / now, Math.max(1 / now, event.deltaY < 0 ? 1.3 : 1 / 1.3));
  const x = at.x + (event.offsetX - plane.clientWidth / 2) / at.scale[0], y = at.y - (event.offsetY - plane.clientHeight / 2) / at.scale[1];
  at = { x: x + (at.x - x) / factor, y: y + (at.y - y) / factor, scale: at.scale.map((one) => one * factor) };
  card.hidden = true;
  draw();
}, { passive: false });
window.addEventListener("resize", () => { fit(); draw(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
  if (event.key === "Escape") { search.value = ""; search.blur(); filter(); }
});
show();
