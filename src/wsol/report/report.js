// The page of a report: cards, filters, details.
// Names and labels come from files that nobody has checked: they enter the page as textContent alone.
(() => {
  const PAGE = 48;
  const byId = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(byId(id).textContent);
  const index = read("index").map(([name, label, score, probability, boxes, uncertainty], number) => (
    { number, name, label, score, probability, boxes, uncertainty, key: name.toLowerCase() }));
  const { palette, mapNames, colours } = read("constants");
  const table = wsol.bytes(colours); // 256 × red, green, blue
  const colour = (rank) => palette[rank % palette.length];
  let shown = index; // what the filters leave, in order
  let page = 0;
  let open = 0; // position in shown of the photograph whose details are open
  let shows = 0; // how often details were opened: only the last is drawn

  // ---- building blocks ------------------------------------------------------------------------

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function svg(tag, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  const number = (value) => value.toFixed(2);

  /** Boxes over the whole photograph, in its own pixels; every one has a light halo to stand out on anything. */
  function boxes(entry, item, rank, level = "") {
    const [height, width] = entry.size;
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    if (level) {
      const [H, W] = item.frame;
      drawing.append(svg("path", { class: "level", d: level, transform: `scale(${width / W} ${height / H})` }));
    }
    drawing.style.color = colour(rank);
    item.boxes.forEach(([x0, y0, x1, y1], place) => {
      for (const kind of place ? ["outline more"] : ["halo", "outline"]) {
        drawing.append(svg("rect", { class: kind, x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
      }
    });
    return drawing;
  }

  /** Width by height; a strip so thin that nothing could be seen in it is shown thicker. */
  const ratio = ({ size: [height, width] }) => Math.min(Math.max(width / height, 1 / 8), 8);

  function frame(entry, ...layers) {
    const element = make("div", { className: "frame" }, ...layers);
    element.style.setProperty("--ratio", ratio(entry));
    return element;
  }

  const photo = (entry, alt, className = "") => make("img", {
    alt, className, decoding: "async", src: `data:image/jpeg;base64,${entry.thumbnail}` });

  const missing = (entry) => make("div", { className: "missing", textContent: `Photograph not available: ${entry.reason}` });

  /** The label at the best box of a card, where it stays inside the card's 4:3 field. */
  function tag(entry, item) {
    if (!item.boxes.length) return make("span", { className: "tag none" }, make("span", { textContent: "nothing found" }));
    const [height, width] = entry.size;
    const wider = ratio(entry) / (4 / 3);
    const [w, h] = [Math.min(1, wider), Math.min(1, 1 / wider)]; // the photograph's share of the field
    const [x0, y0, x1] = item.boxes[0];
    const [left, top, right] = [(1 - w) / 2 + x0 / width * w, (1 - h) / 2 + y0 / height * h, (1 - w) / 2 + x1 / width * w];
    const element = make("span", { className: "tag", title: item.label },
      make("span", { textContent: item.label }), make("span", { textContent: number(item.scores[0]) }));
    element.style.background = colour(0);
    if (left < 0.5) {
      element.style.left = `${100 * left}%`;
      element.style.maxWidth = `${100 * (1 - left)}%`;
    } else {
      element.style.right = `${100 * (1 - right)}%`;
      element.style.maxWidth = `${100 * right}%`;
    }
    element.style.top = `${100 * Math.min(top, 0.88)}%`;
    if (top > 0.12) element.style.transform = "translateY(-100%)";
    return element;
  }

  // ---- the page of cards ----------------------------------------------------------------------

  const count = (boxCount) => (boxCount === 0 ? "nothing found" : boxCount === 1 ? "1 box" : `${boxCount} boxes`);

  function card(row, position) {
    const entry = read(`entry-${row.number}`);
    const [item] = entry.classes;
    const stage = make("span", { className: "stage" });
    if (entry.thumbnail) stage.append(frame(entry, photo(entry, ""), boxes(entry, item, 0)), tag(entry, item));
    else stage.append(missing(entry));
    const others = entry.classes.length > 1 ? ` · ${entry.classes.length - 1} more class${entry.classes.length === 2 ? "" : "es"}` : "";
    const button = make("button", { type: "button", className: "card" }, stage, make("span", { className: "text" },
      make("span", { className: "label", title: row.label },
        make("span", { textContent: row.label }),
        make("span", { textContent: row.boxes ? number(row.score) : "–", title: "score of the best box" })),
      make("span", { className: "name", textContent: row.name, title: row.name }),
      make("span", { className: "facts-line", textContent: `probability ${number(row.probability)} · ${count(row.boxes)}${others}` })));
    button.addEventListener("click", () => show(position));
    return button;
  }

  function pager(place, pages) {
    const button = (text, step) => {
      const element = make("button", { type: "button", textContent: text, disabled: page + step < 0 || page + step >= pages });
      element.addEventListener("click", () => { turn(page + step); byId("toolbar").scrollIntoView(); });
      return element;
    };
    place.replaceChildren(...(pages < 2 ? [] : [
      button("Previous", -1), make("span", { textContent: `Page ${page + 1} of ${pages}` }), button("Next", 1)]));
  }

  function turn(to) {
    page = to;
    const start = page * PAGE;
    const rows = shown.slice(start, start + PAGE);
    byId("cards").replaceChildren(...rows.map((row, place) => card(row, start + place)));
    if (!rows.length) {
      const text = index.length ? "No photograph fits these filters." : "No photographs.";
      byId("cards").append(make("p", { className: "empty", textContent: text }));
    }
    const range = rows.length ? `${start + 1}–${start + rows.length} of ` : "";
    const rest = shown.length < index.length ? ` (${index.length} in all)` : "";
    byId("count").textContent = `${range}${shown.length} photograph${shown.length === 1 ? "" : "s"}${rest}`;
    document.querySelectorAll(".pager nav").forEach((place) => pager(place, Math.ceil(shown.length / PAGE)));
  }

  const ORDERS = {
    run: (a, b) => a.number - b.number,
    uncertain: (a, b) => b.uncertainty - a.uncertainty || a.number - b.number,
    high: (a, b) => b.score - a.score || a.number - b.number,
    low: (a, b) => a.score - b.score || a.number - b.number,
    name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || a.number - b.number,
    class: (a, b) => a.label.localeCompare(b.label, "en") || b.score - a.score || a.number - b.number,
  };

  function filter() {
    const [text, label, found] = [byId("search").value.trim().toLowerCase(), byId("class").value, byId("found").value];
    const chosen = byId("class").selectedIndex > 0; // a class may have an empty name
    shown = index.filter((row) => row.key.includes(text) && (!chosen || row.label === label)
      && (found === "all" || (row.boxes > 0) === (found === "boxes")));
    shown.sort(ORDERS[byId("order").value]);
    turn(0);
  }

  // ---- the details of one photograph ----------------------------------------------------------

  const MAKING = {
    cam: "CAM = norm × similarity × a constant: where the evidence for this class is.",
    nwc: "CAM from the class's positive weights alone (negative weights clamped, so it is no longer norm × similarity).",
    norm: "The feature norm alone, whatever the class.",
    similarity: "The similarity to the class alone, however weak the features.",
  };

  /** What a map shows, in one or two sentences. */
  function explain(kind, item, values) {
    if (kind === "norm") return "How strongly the network reacts at each place, whatever the class. A box that grows over something else that stands out grows because of F.";
    if (kind === "similarity") {
      const range = `${number(Math.min(...values))} to ${number(Math.max(...values))}`;
      return `How well the features point in the direction of this class (cosine, here ${range}), however weak they are. A box that misses part of the object often misses it because S is low there.`;
    }
    const end = item.boxes.length
      ? `${item.boxes.length > 1 ? "each" : "the"} box is the extent of one connected region of it.`
      : "here no region of it was kept.";
    const more = item.test_time ? ` Here it comes from more than one plain pass (${item.test_time}).` : "";
    return `${MAKING[item.map_kind]}${more} Pixels above level ${item.level}/255 (white outline) make the mask; ${end}`;
  }

  function paint(canvas, map) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    map.forEach((value, pixel) => {
      const step = 3 * Math.round(255 * value);
      image.data.set([table[step], table[step + 1], table[step + 2], 255], 4 * pixel);
    });
    context.putImageData(image, 0, 0);
  }

  function panel(title, text, picture) {
    return make("section", { className: "panel" },
      make("div", { className: "holder" }, picture), make("h3", { textContent: title }), make("p", { textContent: text }));
  }

  function mapPanel(entry, item, rank, kind, raw) {
    const [H, W] = item.frame;
    const map = wsol.mapAt(raw, item.frame);
    const canvas = make("canvas", { width: W, height: H });
    canvas.dataset.kind = kind;
    canvas.setAttribute("role", "img");
    const title = kind === "map" ? `${mapNames[item.map_kind]}${item.test_time && ` + ${item.test_time}`}, the map behind the box` : mapNames[kind];
    canvas.setAttribute("aria-label", title);
    paint(canvas, map);
    const level = kind === "map" ? wsol.levelPath(map, item.frame, item.level) : "";
    const below = entry.thumbnail ? [photo(entry, "", "grey")] : [];
    return panel(title, explain(kind, item, raw.values), frame(entry, ...below, canvas, boxes(entry, item, rank, level)));
  }

  function boxTable(item) {
    if (!item.boxes.length) return [];
    const row = (cell, values) => make("tr", {}, ...values.map((value) => make(cell, { textContent: value })));
    return [make("table", {}, row("th", ["box", "left", "top", "right", "bottom", "score"]),
      ...item.boxes.map((box, place) => row("td", [place + 1, ...box, number(item.scores[place])])))];
  }

  async function showClass(entry, rank) {
    const item = entry.classes[rank];
    const kinds = ["map", "norm", "similarity"];
    const mine = ++shows;
    const raw = await Promise.all(kinds.map((kind) => wsol.decode(item.maps[kind])));
    if (mine !== shows) return; // something else was opened meanwhile
    const found = item.boxes.length ? `best box ${number(item.scores[0])}` : "nothing found";
    byId("detail-title").textContent = item.label;
    byId("classes").querySelectorAll("button").forEach((button, place) => button.setAttribute("aria-pressed", place === rank));
    const picture = frame(entry, entry.thumbnail ? photo(entry, "Photograph with its boxes") : missing(entry), boxes(entry, item, rank));
    const means = item.boxes.length ? " The score is the probability × the mean of the map inside the box." : "";
    byId("panels").replaceChildren(
      panel("Photograph", `Class probability ${number(item.probability)}, ${found}.${means}`, picture),
      ...kinds.map((kind, place) => mapPanel(entry, item, rank, kind, raw[place])));
    byId("boxes").replaceChildren(...boxTable(item));
  }

  function show(position) {
    open = position;
    const row = shown[position];
    const entry = read(`entry-${row.number}`);
    const [height, width] = entry.size;
    const thick = ratio(entry) === width / height ? "" : ", drawn thicker than it is";
    byId("detail-name").textContent = `${row.name} · ${width} × ${height} pixels${thick}`;
    byId("classes").replaceChildren(...(entry.classes.length < 2 ? [] : entry.classes.map((item, rank) => {
      const mark = make("i");
      mark.style.background = colour(rank);
      const button = make("button", { type: "button" }, mark, `${item.label} ${number(item.probability)}`);
      button.addEventListener("click", () => showClass(entry, rank));
      return button;
    })));
    byId("previous").disabled = position === 0;
    byId("next").disabled = position === shown.length - 1;
    showClass(entry, 0);
    if (!byId("detail").open) byId("detail").showModal();
    byId("detail").scrollTop = 0;
  }

  const step = (by) => { if (open + by >= 0 && open + by < shown.length) show(open + by); };
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => byId("detail").close());
  byId("detail").addEventListener("click", (event) => { if (event.target === byId("detail")) byId("detail").close(); });
  byId("detail").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  byId("detail").addEventListener("close", () => { // the card may lie on another page by now
    if (Math.floor(open / PAGE) !== page) turn(Math.floor(open / PAGE));
    byId("cards").children[open % PAGE]?.focus();
  });
  byId("toolbar").addEventListener("submit", (event) => event.preventDefault());
  byId("toolbar").addEventListener("input", filter);
  paint(byId("scale"), Float64Array.from({ length: 256 }, (_, value) => value / 255));
  filter();
})();
