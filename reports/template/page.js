// What the page can do with scripts: sort and filter the long tables, save figures and tables, show
// what a citation stands for, and draw interactive maps.
// Without scripts, and in print, everything stays as it is.
"use strict";

function button(text, label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

function save(address, name) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

function saveCsv(parts, name) {
  // The mark at the beginning tells spreadsheets that this is UTF-8.
  const address = URL.createObjectURL(new Blob(["\ufeff", ...parts], { type: "text/csv" }));
  save(address, `${name}.csv`);
  URL.revokeObjectURL(address);
}

// --- tables ---------------------------------------------------------------------------------

for (const table of document.querySelectorAll(".sortable table")) {
  makeSortable(table);
  makeFilterable(table);
}

function makeSortable(table) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...heading.childNodes);
    heading.append(sorter);
    sorter.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      body.append(...sorted([...body.rows], column, falling));
    });
  });
}

// A column of numbers is sorted by the number that each cell begins with; a dash, which stands for
// a missing value, comes last either way.
function sorted(rows, column, falling) {
  const text = (row) => row.cells[column].textContent.trim();
  const value = (row) => Number.parseFloat(text(row).replaceAll(",", ""));
  const present = rows.filter((row) => text(row) !== "–");
  const missing = rows.filter((row) => text(row) === "–");
  const numeric = present.every((row) => !Number.isNaN(value(row)));
  const order = numeric
    ? (a, b) => value(a) - value(b)
    : (a, b) => text(a).localeCompare(text(b), "en", { numeric: true });
  present.sort((a, b) => (falling ? -order(a, b) : order(a, b)));
  return [...present, ...missing];
}

// Rows stay that have every word of the field somewhere.
function makeFilterable(table) {
  const field = document.createElement("input");
  field.type = "search";
  field.autocomplete = "off";
  const label = document.createElement("label");
  const shown = document.createElement("output");
  label.append("Filter the rows: ", field);
  const line = document.createElement("p");
  line.className = "filter";
  line.append(label, " ", shown);
  table.before(line);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const left = rows.filter((row) => !row.hidden).length;
    shown.textContent = words.length ? `${left} of ${rows.length} rows` : "";
  });
}

// Cells in quotation marks, as RFC 4180 has them.
function asCsv(table) {
  const cell = (one) => `"${one.textContent.trim().replaceAll('"', '""')}"`;
  return [...table.rows].map((row) => [...row.cells].map(cell).join(",") + "\r\n").join("");
}

for (const table of document.querySelectorAll("main .table table[id]")) {
  const name = table.caption.querySelector("strong").textContent.replace(/\.$/, "");
  const act = () => saveCsv([asCsv(table)], table.id);
  downloads(table.caption, [button("CSV", `Save ${name} as CSV`, act)]);
}

// --- figures --------------------------------------------------------------------------------

for (const figure of document.querySelectorAll("main figure[id]")) {
  const image = figure.querySelector("img");
  const caption = figure.querySelector("figcaption");
  const name = caption.querySelector("strong").textContent.replace(/\.$/, "");
  const made = [button("PNG", `Save ${name} as PNG`, () => savePng(image, figure.id))];
  if (image.src.startsWith("data:image/svg+xml")) {
    const act = () => save(image.src, `${figure.id}.svg`);
    made.unshift(button("SVG", `Save ${name} as SVG`, act));
  }
  const numbers = document.querySelector(`script.numbers[data-figure="${figure.id}"]`);
  if (numbers) {
    const act = async () => saveCsv([await unpacked(numbers.textContent)], figure.id);
    made.push(button("CSV", `Save the numbers of ${name} as CSV`, act));
  }
  downloads(caption, made);
}

// The page holds tables compressed, in base64.
function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).blob();
}

// A drawing is saved at three times the size of the page, a picture at its own.
function savePng(image, name) {
  if (image.src.startsWith("data:image/png")) return save(image.src, `${name}.png`);
  const canvas = document.createElement("canvas");
  canvas.width = 3 * image.naturalWidth;
  canvas.height = 3 * image.naturalHeight;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  save(canvas.toDataURL("image/png"), `${name}.png`);
}

function downloads(caption, buttons) {
  const line = document.createElement("span");
  line.className = "downloads";
  line.append(...buttons);
  caption.append(" ", line);
}

// --- citations ------------------------------------------------------------------------------

const card = document.createElement("div");
Object.assign(card, { id: "citation", className: "card", role: "tooltip", hidden: true });
document.body.append(card);
let leaving;

for (const link of document.querySelectorAll("a[role=doc-biblioref]")) {
  const entry = document.getElementById(link.hash.slice(1));
  for (const event of ["mouseenter", "focus"]) {
    link.addEventListener(event, () => showCard(link, entry));
  }
  for (const event of ["mouseleave", "blur"]) link.addEventListener(event, hideCardSoon);
}

// The card stays while the mouse is on it, and goes with Escape.
card.addEventListener("mouseenter", () => clearTimeout(leaving));
card.addEventListener("mouseleave", hideCardSoon);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") card.hidden = true;
});

function showCard(link, entry) {
  clearTimeout(leaving);
  document.querySelector("[aria-describedby=citation]")?.removeAttribute("aria-describedby");
  link.setAttribute("aria-describedby", card.id);
  card.replaceChildren(...[...entry.childNodes].map((node) => node.cloneNode(true)));
  card.hidden = false;
  const line = link.getClientRects()[0];
  const room = document.documentElement.clientWidth - card.offsetWidth - 16;
  const below = line.bottom + 6;
  const fits = below + card.offsetHeight < document.documentElement.clientHeight;
  card.style.left = `${scrollX + Math.max(16, Math.min(line.left, room))}px`;
  card.style.top = `${scrollY + (fits ? below : line.top - card.offsetHeight - 6)}px`;
}

function hideCardSoon() {
  clearTimeout(leaving);
  leaving = setTimeout(() => { card.hidden = true; }, 200);
}

// --- interactive maps -----------------------------------------------------------------------

if (globalThis.Bokeh) Bokeh.set_log_level("warn");

const WORDS = { class: "class", cluster: "cluster", wrong: "mistakes" };
const GROUPS = { false: "matched with its class", true: "matched with another class" };

for (const data of document.querySelectorAll("script.atlas-plot")) {
  makeAtlas(document.getElementById(data.dataset.place), JSON.parse(data.textContent));
}

async function makeAtlas(place, { item, colours }) {
  const stage = document.createElement("div");
  stage.className = "stage";
  const colouring = choices(place.id, Object.keys(colours));
  const legend = document.createElement("fieldset");
  const viewer = makeViewer(place.id);
  place.append(colouring, legend, stage, viewer.box);
  await Bokeh.embed.embed_item(item, stage);
  const plot = Bokeh.documents.at(-1);
  const [dots, chosen] = ["dots", "chosen"].map((name) => plot.get_model_by_name(name));
  const columns = { ...dots.data };
  let shownBy = Object.keys(colours)[0];
  let hidden = new Set();

  function show(by) {
    if (by !== shownBy) hidden = new Set();
    shownBy = by;
    const groups = columns[by].map(String);
    dots.data = {
      ...columns,
      colour: groups.map((group) => colours[by][group]),
      alpha: groups.map((group) => (hidden.has(group) ? 0.03 : 0.75)),
    };
  }

  function choose(by) {
    show(by);
    legend.replaceChildren(...toggles(by, colours[by], (group, on) => {
      if (on) hidden.delete(group);
      else hidden.add(group);
      show(by);
    }));
  }

  if (colours.class) place.append(makeCells(columns, Object.keys(colours.class)));

  colouring.addEventListener("change", (event) => choose(event.target.value));
  choose(shownBy);

  // The images one by one, the least sure first.
  const order = [...columns.x.keys()].sort((a, b) => columns.confidence[a] - columns.confidence[b]);
  viewer.slider.max = order.length - 1;
  viewer.slider.addEventListener("input", () => {
    const at = order[viewer.slider.value];
    chosen.data = { x: [columns.x[at]], y: [columns.y[at]] };
    viewer.image.src = columns.image[at];
    viewer.image.hidden = false;
    viewer.text.textContent = [
      columns.name?.[at],
      columns.class && `class ${columns.class[at]}`,
      `cluster ${columns.cluster[at]}`,
      columns.wrong && GROUPS[columns.wrong[at]],
      `margin ${columns.confidence[at].toFixed(2)}`,
    ].filter(Boolean).join(", ");
  });
}

// Images by class and cluster, each cell a button that shows them. A cluster's column stands where
// its matched class's row does; unmatched clusters come last.
function makeCells(columns, classes) {
  const images = [...columns.image.keys()];
  const matched = new Map();
  for (const at of images) {
    if (!columns.wrong[at]) matched.set(columns.cluster[at], columns.class[at]);
  }
  const rank = (cluster) => matched.has(cluster) ? classes.indexOf(matched.get(cluster)) : Infinity;
  const clusters = [...new Set(columns.cluster)].sort((a, b) => rank(a) - rank(b) || a - b);
  const shown = document.createElement("div");
  shown.className = "cell-images";
  shown.setAttribute("aria-live", "polite");
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  head.append(heading("class \\ cluster"), ...clusters.map((cluster) => heading(String(cluster))));
  const body = table.createTBody();
  for (const name of classes) {
    const row = body.insertRow();
    const first = heading(name);
    first.scope = "row";
    row.append(first);
    for (const cluster of clusters) {
      const inside = images.filter(
        (at) => columns.class[at] === name && columns.cluster[at] === cluster,
      );
      const cell = row.insertCell();
      if (!inside.length) continue;
      const label = `${inside.length} of class ${name} in cluster ${cluster}`;
      const pictures = () => inside.map((at) => picture(columns.image[at]));
      const act = () => shown.replaceChildren(`${label}: `, ...pictures());
      cell.append(button(String(inside.length), `Show ${label}`, act));
      if (matched.get(cluster) === name) cell.className = "matched";
    }
  }
  const box = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "Images by class and cluster";
  const scroller = document.createElement("div");
  scroller.className = "scroller";
  scroller.append(table);
  box.append(summary, scroller, shown);
  return box;
}

function heading(text) {
  const made = document.createElement("th");
  made.textContent = text;
  return made;
}

function picture(address) {
  const made = document.createElement("img");
  Object.assign(made, { src: address, alt: "", width: 56, height: 56 });
  return made;
}

function choices(name, keys) {
  const field = document.createElement("fieldset");
  const title = document.createElement("legend");
  title.textContent = "Coloured by";
  field.append(title);
  keys.forEach((key, position) => {
    const label = document.createElement("label");
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: `${name}-by`, value: key, checked: !position });
    label.append(radio, ` ${WORDS[key]}`);
    field.append(label);
  });
  return field;
}

function toggles(by, colours, act) {
  const title = document.createElement("legend");
  title.textContent = "Shown";
  return [title, ...Object.entries(colours).map(([group, colour]) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", checked: true });
    box.addEventListener("change", () => act(group, box.checked));
    const patch = document.createElement("span");
    patch.className = "patch";
    patch.style.background = colour;
    label.append(box, " ", patch, ` ${by === "wrong" ? GROUPS[group] : group}`);
    return label;
  })];
}

function makeViewer(name) {
  const box = document.createElement("div");
  box.className = "viewer";
  const label = document.createElement("label");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, value: 0, step: 1 });
  label.append("Image by image, the least clear first ", slider);
  const image = document.createElement("img");
  Object.assign(image, { alt: "", hidden: true, width: 84, height: 84 });
  const text = document.createElement("output");
  text.id = `${name}-chosen`;
  slider.setAttribute("aria-describedby", text.id);
  box.append(label, image, text);
  return { box, slider, image, text };
}
