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
  // The first click brings the better end to the top, where there is one.
  const betterIsMore = [...table.closest(".sortable").dataset.better ?? ""].map((sign) => sign === "+");
  headings.forEach((heading, column) => {
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...heading.childNodes);
    heading.append(sorter);
    sorter.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const falling = now ? now === "ascending" : betterIsMore[column];
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

// Rows stay that have every word of the field somewhere, also in the names that methods have in files
// and commands, which are not shown.
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
      const names = [...row.querySelectorAll("[data-names]")].map((cell) => cell.dataset.names);
      const text = [row.textContent, ...names].join(" ").toLowerCase();
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

for (const box of document.querySelectorAll("main .table")) {
  box.addEventListener("scroll", () => box.classList.toggle("scrolled", box.scrollLeft > 0), { passive: true });
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
  if (!image.src.startsWith("data:")) continue; // its files lie beside the page, and the caption has links
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
// What may stand in the place of the figure of all scores: a switch chooses.
for (const leads of document.querySelectorAll(".leads")) {
  const whole = document.querySelector("#fig-all-scores img");
  if (whole) makeSwitch(whole, [...leads.querySelectorAll("img")]);
  leads.remove();
}

function makeSwitch(whole, others) {
  const images = [whole, ...others];
  const field = document.createElement("fieldset");
  field.className = "switch";
  const title = document.createElement("legend");
  title.textContent = "Show";
  field.append(title);
  images.forEach((image, place) => {
    image.hidden = place > 0;
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "lead", checked: !place });
    radio.addEventListener("change", () => {
      for (const one of images) one.hidden = one !== image;
    });
    const label = document.createElement("label");
    label.append(radio, ` ${image.dataset.words ?? "all studies"}`);
    field.append(label);
  });
  whole.before(field);
  whole.after(...others);
}

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

// --- formulas -------------------------------------------------------------------------------

// What is wider than the page scrolls, by keyboard too.
for (const formula of document.querySelectorAll('math[display="block"]')) {
  if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
}

// --- previews -------------------------------------------------------------------------------

// What a citation, or a reference to a figure or a table of this page, leads to.
const card = document.createElement("div");
Object.assign(card, { id: "citation", className: "card", role: "tooltip", hidden: true });
document.body.append(card);
let leaving;

const PREVIEWS = { "#ref-": copied, "#fig-": ofFigure, "#tbl-": ofTable };

// Of all links in the text, also of those that a script puts there later.
function onLinks(events, act) {
  const links = Object.keys(PREVIEWS).map((start) => `main a[href^="${start}"]`).join();
  for (const event of events) {
    document.addEventListener(event, ({ target }) => {
      const link = target.closest?.(links);
      if (link) act(link);
    });
  }
}

onLinks(["mouseover", "focusin"], (link) => (
  showCard(link, PREVIEWS[link.hash.slice(0, 5)](document.getElementById(link.hash.slice(1))))));
onLinks(["mouseout", "focusout"], hideCardSoon);

function copied(entry) {
  return [...entry.childNodes].map((node) => node.cloneNode(true));
}

function withoutControls(nodes) {
  for (const node of nodes) {
    for (const one of node.querySelectorAll?.("[id]") ?? []) one.removeAttribute("id");
    for (const one of node.querySelectorAll?.(".downloads") ?? []) one.remove();
  }
  return nodes.filter((node) => !node.classList?.contains("downloads"));
}

function ofFigure(figure) {
  const image = figure.querySelector("img").cloneNode();
  image.loading = "eager";
  return [image, ...withoutControls(copied(figure.querySelector("figcaption")))];
}

// The caption and the beginning.
function ofTable(table) {
  const beginning = table.cloneNode();
  beginning.removeAttribute("id");
  const body = document.createElement("tbody");
  body.append(...[...table.tBodies[0]?.rows ?? []].slice(0, 8).map((row) => row.cloneNode(true)));
  beginning.append(table.tHead.cloneNode(true), body);
  for (const sorter of beginning.querySelectorAll("button")) sorter.replaceWith(sorter.textContent);
  const cut = document.createElement("div");
  cut.className = "cut";
  cut.append(beginning);
  return [...withoutControls(copied(table.caption)), cut];
}

// The card stays while the mouse is on it, and goes with Escape.
card.addEventListener("mouseenter", () => clearTimeout(leaving));
card.addEventListener("mouseleave", hideCardSoon);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") card.hidden = true;
});

function showCard(link, content) {
  clearTimeout(leaving);
  document.querySelector("[aria-describedby=citation]")?.removeAttribute("aria-describedby");
  link.setAttribute("aria-describedby", card.id);
  card.replaceChildren(...content);
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

// --- contents -------------------------------------------------------------------------------

// The entry of the section that is being read: the last whose heading is above the middle.
const entries = [...document.querySelectorAll('nav[aria-label="Contents"] a')].map((link) => (
  { link, heading: document.getElementById(link.hash.slice(1)) }));
let waiting = false;

function markEntry() {
  waiting = false;
  const above = entries.filter(({ heading }) => heading.getBoundingClientRect().top < innerHeight / 2);
  const now = above.at(-1)?.link;
  for (const { link } of entries) {
    if (link === now) link.setAttribute("aria-current", "location");
    else link.removeAttribute("aria-current");
  }
  const nav = now?.closest("nav");
  if (nav && nav.scrollHeight > nav.clientHeight) {
    nav.scrollTop = now.offsetTop - nav.clientHeight / 2;
  }
}

addEventListener("scroll", () => {
  if (!waiting) requestAnimationFrame(markEntry);
  waiting = true;
}, { passive: true });
markEntry();
