// One photograph with box, mask and map over it, and its maps beside each other. The server sends plain values
// (wsol.app.view); whatever a file or class is called is set as text. Boxes that a person draws stay here until
// they are accepted.
const find = (name) => element.querySelector(name);
const SVG = "http://www.w3.org/2000/svg";
const NEAR = 10; // pixels on the screen around an edge that take hold of it
const inputs = [...element.querySelectorAll(".edges input")];
let shown = null, whole = null, late = null, boxes = [], chosen = 0, drag = null;

const make = (tag, parent, text = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
};
const source = (image, uri) => {
  image.hidden = !uri;
  if (uri && image.getAttribute("src") !== uri) image.setAttribute("src", uri);
};
const open = () => shown !== null && shown.editable && !shown.problem;
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const changed = () => shown !== null && !same(boxes, shown.boxes);
const place = (item, [x0, y0, x1, y1]) => Object.assign(item.style, {
  left: `${100 * x0 / shown.width}%`, top: `${100 * y0 / shown.height}%`,
  width: `${100 * (x1 - x0) / shown.width}%`, height: `${100 * (y1 - y0) / shown.height}%`,
});

function outlines(layer, full) {
  const had = full && layer.contains(document.activeElement);
  layer.replaceChildren();
  boxes.forEach((box, index) => {
    const item = make("div", layer);
    item.className = "box" + (full && shown.editable && index === chosen ? " chosen" : "");
    place(item, box);
    if (!full) return;
    const found = shown.boxes.findIndex((other) => same(box, other));
    const said = found < 0 ? "by hand" : shown.scores[found];
    make("span", item, `${shown.label} ${said}`).className = "tag" + (box[1] < shown.height / 12 ? " inside" : "");
    if (!shown.editable) return;
    item.tabIndex = 0;
    item.setAttribute("role", "group");
    item.setAttribute("aria-label", `Box ${box.join(", ")}: arrow keys move it, with Shift its lower right corner; Enter accepts`);
    item.addEventListener("focus", () => { if (chosen !== index) { chosen = index; draw(); } });
    if (index === chosen) for (const corner of ["nw", "ne", "sw", "se"]) make("i", item).className = corner;
  });
  if (had && boxes.length) layer.children[chosen].focus({ preventScroll: true });
}

function draw(anew = false) {
  const all = element.querySelectorAll(".panel .boxes");
  outlines(find(".stage .boxes"), true);
  all.forEach((layer) => outlines(layer, false));
  const box = boxes[chosen];
  inputs.forEach((input, index) => {
    input.max = index % 2 ? shown.height : shown.width;
    input.disabled = !open();
    if (anew || document.activeElement !== input) input.value = box ? box[index] : "";
  });
  find(".undo").disabled = !changed();
  find(".remove").disabled = !boxes.length;
  find(".edges").hidden = find(".judge").hidden = !shown.editable;
  find(".accept").textContent = changed() ? "Accept the corrected box" : "Accept";
  find(".accept").disabled = !boxes.length;
  find(".reject").disabled = !open();
}

function panels() {
  const list = find(".panels");
  if (list.children.length !== shown.panels.length) {
    list.replaceChildren();
    for (const _ of shown.panels) {
      const panel = make("figure", list);
      panel.className = "panel";
      const picture = make("div", panel);
      picture.className = "picture";
      for (const name of ["photo", "heat"]) Object.assign(make("img", picture), { className: name, alt: "" });
      make("div", picture).className = "boxes";
      make("figcaption", panel);
    }
  }
  shown.panels.forEach((panel, index) => {
    const [photo, heat] = list.children[index].querySelectorAll("img");
    source(photo, shown.photo);
    source(heat, panel.image);
    list.children[index].querySelector("figcaption").textContent = panel.title;
  });
}

function show(value) {
  if (!value || (shown && value.turn < shown.turn)) return; // an answer that a later one has overtaken
  if (value.boxes && !value.photo) { // of a slider: photograph and maps are those that are here
    if (!whole || value.pictures !== whole.pictures) { late = value; return; }
    value = { ...whole, ...value };
  }
  const empty = !value.photo;
  whole = value.problem || empty ? null : value;
  find(".viewer").hidden = empty;
  find(".problem").textContent = value.problem || "";
  element.querySelectorAll(".content").forEach((part) => { part.hidden = empty; });
  shown = value;
  if (empty) return;
  boxes = value.boxes.map((box) => [...box]);
  chosen = 0;
  drag = null;
  find(".stage .picture").style.setProperty("--shape", value.width / value.height);
  source(find(".stage .photo"), value.photo);
  source(find(".stage .mask"), value.mask);
  source(find(".stage .heat"), value.panels[0]?.image || "");
  find(".stage .photo").alt = `${value.name}: ${value.label}`;
  find(".model").textContent = value.panels.length ? `${value.model} · ${value.panels[0].title}` : value.model;
  find(".label").textContent = value.label;
  find(".facts").textContent = value.facts;
  find(".words").textContent = value.words;
  find(".verdict").textContent = value.verdict;
  find(".verdict").dataset.kind = value.verdict;
  panels();
  draw(true);
  if (late) { const next = late; late = null; show(next); }
}

// --- correcting: a corner or side changes a box, its inside moves it, anywhere else draws one instead of it
function at(event) {
  const frame = find(".stage .picture").getBoundingClientRect();
  const scale = shown.width / frame.width;
  return { x: (event.clientX - frame.left) * scale, y: (event.clientY - frame.top) * scale, near: NEAR * scale };
}
function hold({ x, y, near }) {
  const order = [chosen, ...boxes.keys()];
  for (const index of order) {
    const box = boxes[index];
    if (!box || x < box[0] - near || x > box[2] + near || y < box[1] - near || y > box[3] + near) continue;
    const sides = [0, 1, 2, 3].filter((side) => Math.abs((side % 2 ? y : x) - box[side]) <= near);
    if (sides.length) return { index, sides };
  }
  for (const index of order) {
    const box = boxes[index];
    if (box && x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3]) return { index, sides: [0, 1, 2, 3] };
  }
  return { index: Math.min(chosen, boxes.length), sides: [] };
}
const limits = () => [shown.width, shown.height, shown.width, shown.height];
function moved(box, sides, dx, dy) {
  const limit = limits();
  if (sides.length === 4) {
    const x = clamp(Math.round(dx), -box[0], shown.width - box[2]);
    const y = clamp(Math.round(dy), -box[1], shown.height - box[3]);
    return [box[0] + x, box[1] + y, box[2] + x, box[3] + y];
  }
  const next = [...box];
  for (const side of sides) {
    const value = clamp(Math.round(box[side] + (side % 2 ? dy : dx)), 0, limit[side]);
    next[side] = side < 2 ? Math.min(value, box[side + 2] - 1) : Math.max(value, box[side - 2] + 1);
  }
  return next;
}
const stage = find(".stage .picture");
stage.addEventListener("pointerdown", (event) => {
  if (!open() || event.button) return;
  const from = at(event);
  drag = { from, ...hold(from) };
  drag.box = boxes[drag.index] ? [...boxes[drag.index]] : null;
  chosen = drag.index;
  stage.setPointerCapture(event.pointerId);
  event.preventDefault();
});
stage.addEventListener("pointermove", (event) => {
  if (!open()) return;
  const to = at(event);
  if (!drag) {
    const { sides } = hold(to);
    const both = sides.length === 2 ? ((sides[0] + sides[1]) % 4 === 1 ? "nwse" : "nesw") : "";
    stage.style.cursor = sides.length === 4 ? "move" : both ? `${both}-resize`
      : sides.length ? (sides[0] % 2 ? "ns-resize" : "ew-resize") : "crosshair";
    return;
  }
  const { from, sides, index, box } = drag;
  if (sides.length) boxes[index] = moved(box, sides, to.x - from.x, to.y - from.y);
  else {
    const [x0, x1] = [from.x, to.x].map((x) => clamp(Math.round(x), 0, shown.width)).sort((a, b) => a - b);
    const [y0, y1] = [from.y, to.y].map((y) => clamp(Math.round(y), 0, shown.height)).sort((a, b) => a - b);
    if ((x1 - x0) * 50 < shown.width || (y1 - y0) * 50 < shown.height) return; // a click draws nothing
    boxes[index] = [x0, y0, x1, y1];
  }
  draw();
});
const drop = () => { if (drag) { drag = null; draw(); } };
stage.addEventListener("pointerup", drop);
stage.addEventListener("pointercancel", drop);

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
stage.addEventListener("keydown", (event) => {
  if (event.key === "Enter") { event.preventDefault(); find(".accept").click(); return; }
  const arrow = ARROWS[event.key];
  if (!arrow || !open() || !boxes[chosen]) return;
  const step = Math.max(1, Math.round(Math.max(shown.width, shown.height) / 100));
  boxes[chosen] = moved(boxes[chosen], event.shiftKey ? [2, 3] : [0, 1, 2, 3], step * arrow[0], step * arrow[1]);
  event.preventDefault();
  draw();
});
inputs.forEach((input, side) => input.addEventListener("change", () => {
  const box = boxes[chosen] ? [...boxes[chosen]] : [0, 0, shown.width, shown.height];
  if (input.value !== "") boxes[chosen] = moved(box, [side], Number(input.value) - box[side], Number(input.value) - box[side]);
  input.value = boxes[chosen] ? boxes[chosen][side] : "";
  draw();
}));
find(".undo").addEventListener("click", () => { boxes = shown.boxes.map((box) => [...box]); chosen = 0; draw(); });
find(".remove").addEventListener("click", () => { boxes.splice(chosen, 1); chosen = 0; draw(); });

for (const layer of element.querySelectorAll(".layers input")) {
  const apply = () => element.classList.toggle(`no-${layer.name}`, !layer.checked);
  layer.addEventListener("change", apply);
  apply();
}
find(".accept").addEventListener("click", () => trigger("accept", { turn: shown.turn, boxes }));
find(".reject").addEventListener("click", () => trigger("reject", { turn: shown.turn }));
find(".before").addEventListener("click", () => trigger("before", {}));
find(".after").addEventListener("click", () => trigger("after", {}));
watch("value", () => show(props.value));
show(props.value);
