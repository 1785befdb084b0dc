// What stands around an interactive map: filters, legend, the kept point with its nearest, and the
// sheet of pictures that can be paged through and saved. `map.js` has the map itself.
"use strict";

const PER_PAGE = 60;
const NEAREST = 10;
const SHEETS_KEPT = 100;
const SCALE = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
const MISSING = "#8c8c8c";
const DAY = 86400000;

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function count(n) {
  return n.toLocaleString("en");
}

// A colour as it is seen on the page: dark ones are made lighter on a dark page.
function visible(colour) {
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  const light = 0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2];
  if (light > 95 || !matchMedia("(prefers-color-scheme: dark)").matches) return colour;
  return `rgb(${parts.map((part) => Math.round(part + (255 - part) * 0.45))})`;
}

function inWords(column, at) {
  const value = column.values[at];
  if (column.groups) return value < 0 ? "" : column.groups[value];
  return Number.isNaN(value) ? "" : numberInWords(column, value);
}

function numberInWords(column, value) {
  if (column.is_date) return new Date(value * DAY).toISOString().slice(0, 10);
  const digits = Math.abs(value) < 1 ? { maximumFractionDigits: 2 } : { maximumSignificantDigits: 4 };
  return value.toLocaleString("en", digits);
}

// --- small pictures -------------------------------------------------------------------------

// They lie in sheets, of which those last used are kept; a sheet is loaded when it is needed.
class Thumbnails {
  constructor({ thumbs, cells, aspects, names, links }) {
    Object.assign(this, { thumbs, cells, aspects, names, links });
    this.sheets = new Map();
  }

  name(at) {
    return this.names ? this.names[at] : `point ${count(at + 1)}`;
  }

  link(at, text = this.name(at)) {
    return this.links ? make("a", { href: this.links[at], textContent: text, title: this.name(at) }) : text;
  }

  sheet(at) {
    const number = Math.floor(this.cells[at] / this.thumbs.per_row ** 2);
    const image = this.sheets.get(number) ?? make("img", { src: this.thumbs.sheets[number] });
    this.sheets.delete(number);
    this.sheets.set(number, image);
    if (this.sheets.size > SHEETS_KEPT) this.sheets.delete(this.sheets.keys().next().value);
    return image;
  }

  // Draw a picture now if its sheet is there, and let `later` know when it is, otherwise.
  draw(pen, at, x, y, size, later) {
    const image = this.sheet(at);
    if (!image.complete) return image.addEventListener("load", later, { once: true });
    const { per_row } = this.thumbs;
    const [width, height] = [image.naturalWidth / per_row, image.naturalHeight / per_row];
    const cell = this.cells[at] % per_row ** 2;
    pen.imageSmoothingEnabled = width >= 48;
    const [left, top] = [(cell % per_row) * width, Math.floor(cell / per_row) * height];
    const aspect = this.aspects?.[at] ?? 1;
    const [across, down] = [size * Math.min(1, aspect), size * Math.min(1, 1 / aspect)];
    const [toLeft, toTop] = [x + (size - across) / 2, y + (size - down) / 2];
    pen.drawImage(image, left, top, width, height, toLeft, toTop, across, down);
  }

  element(at, size) {
    const pixels = Math.round(size * devicePixelRatio);
    const made = make("canvas", { width: pixels, height: pixels });
    made.style.width = `${size}px`;
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", this.name(at));
    const draw = () => this.draw(made.getContext("2d"), at, 0, 0, pixels, draw);
    if (this.thumbs) draw();
    return made;
  }

  // The picture as its file has it, or the small one where a browser cannot show such a file.
  original(at) {
    const small = this.element(at, 192);
    if (!this.links) return small;
    const image = make("img", { src: this.links[at], alt: this.name(at), className: "original" });
    image.addEventListener("error", () => image.replaceWith(small), { once: true });
    return image;
  }

  card(at, act) {
    const show = button("", `Show ${this.name(at)}`, act);
    show.append(this.element(at, 72));
    return make("figure", {}, show, make("figcaption", { title: this.name(at) }, this.link(at, this.name(at).split("/").at(-1))));
  }
}

// --- filters --------------------------------------------------------------------------------

// Which groups of each column are hidden, and which share of its numbers is shown.
class Filters {
  constructor(columns, n, changed) {
    Object.assign(this, { columns, n, changed });
    this.hidden = columns.map(() => new Set());
    this.ranges = columns.map(() => [0, 100]); // hundredths of the points, by number
    this.count = make("output", {});
    this.controls = columns.map((column, at) => (
      column.groups ? this.groupControl(column, at) : this.rangeControl(column, at)
    ));
    this.box = make("details", { className: "filters" }, make("summary", {}, "Filters ", this.count),
      ...this.controls.map(({ box }) => box), button("No filters", "Remove all filters", () => this.clear()));
  }

  groupControl(column, at) {
    const codes = [...column.groups.keys()];
    const choice = make("select", {}, new Option("all", "all"),
      ...codes.map((code) => new Option(column.groups[code], code)));
    choice.setAttribute("aria-label", `${column.title}, group that is shown`);
    choice.addEventListener("change", () => {
      const others = codes.filter((code) => code !== Number(choice.value));
      this.hidden[at] = new Set(choice.value === "all" ? [] : others);
      this.changed();
    });
    const show = () => {
      const left = codes.filter((code) => !this.hidden[at].has(code));
      choice.value = left.length === codes.length ? "all" : left.length === 1 ? left[0] : "";
    };
    return { box: make("label", {}, `${column.title} `, choice), show };
  }

  rangeControl(column, at) {
    const words = make("output", {});
    const ends = ["least", "most"].map((end, side) => {
      const slider = make("input", { type: "range", min: 0, max: 100, step: 1, value: 100 * side });
      slider.setAttribute("aria-label", `${column.title}, ${end} that is shown`);
      slider.addEventListener("input", () => {
        const [one, other] = ends.map((each) => Number(each.value));
        this.ranges[at] = [Math.min(one, other), Math.max(one, other)];
        this.changed();
      });
      return slider;
    });
    const show = () => {
      ends.forEach((slider, side) => { slider.value = this.ranges[at][side]; });
      const limits = this.ranges[at].map((share) => column.quantile(share / 100));
      words.textContent = limits.map((value) => numberInWords(column, value)).join(" to ");
    };
    show();
    return { box: make("div", {}, `${column.title} `, ...ends, words), show };
  }

  clear() {
    this.hidden.forEach((groups) => groups.clear());
    this.ranges = this.columns.map(() => [0, 100]);
    this.changed();
  }

  // Mark with 1 the points that every filter lets through. A point without a number passes only a
  // filter that is wide open.
  apply(shown) {
    shown.fill(1);
    this.columns.forEach(({ values, groups, quantile }, column) => {
      const hidden = this.hidden[column];
      const [low, high] = this.ranges[column];
      if (groups ? !hidden.size : low === 0 && high === 100) return;
      const [least, most] = groups ? [] : [quantile(low / 100), quantile(high / 100)];
      const passes = groups ? (value) => !hidden.has(value) : (value) => value >= least && value <= most;
      for (let at = 0; at < this.n; at++) if (!passes(values[at])) shown[at] = 0;
    });
    const left = shown.reduce((sum, one) => sum + one, 0);
    this.count.textContent = left < this.n ? `(${count(left)} of ${count(this.n)} points shown)` : "";
    this.controls.forEach((control) => control.show());
  }
}

// --- legend ---------------------------------------------------------------------------------

// What the colours stand for; a group's box hides it, its number shows its pictures.
function drawLegend(box, map) {
  const { groups, title, quantile, values } = map.by;
  if (!groups) {
    const bar = make("span", { className: "scale" });
    bar.style.background = `linear-gradient(to right, ${SCALE.join(", ")})`;
    const [low, high] = [0.02, 0.98].map((share) => numberInWords(map.by, quantile(share)));
    return box.replaceChildren(make("legend", {}, title), `${low} `, bar, ` ${high}`);
  }
  const hidden = map.filters.hidden[map.columns.indexOf(map.by)];
  const sizes = new Uint32Array(groups.length);
  for (const code of values) if (code >= 0) sizes[code] += 1;
  const rows = groups.map((group, code) => {
    const toggle = make("input", { type: "checkbox", checked: !hidden.has(code) });
    toggle.addEventListener("change", () => {
      if (toggle.checked) hidden.delete(code);
      else hidden.add(code);
      map.filter();
      box.querySelectorAll("input")[code].focus();
    });
    const patch = make("span", { className: "patch" });
    patch.style.background = map.paints[code];
    const words = `${title}: ${group}`;
    const act = () => map.highlight(map.indices((at) => values[at] === code), words);
    return make("span", {}, make("label", {}, toggle, " ", patch, ` ${group} `),
      button(count(sizes[code]), `List the ${count(sizes[code])} of ${words}`, act));
  });
  return box.replaceChildren(make("legend", {}, title), ...rows);
}

// --- the kept point -------------------------------------------------------------------------

function drawKept(box, map, at) {
  box.hidden = at < 0;
  if (at < 0) return;
  const facts = map.columns.map((column) => [column.title, inWords(column, at)]);
  const given = map.nearest?.subarray(NEAREST * at, NEAREST * (at + 1)).filter((one) => one >= 0);
  const near = [...(given ?? nearestOnMap(map, at))];
  const cards = near.map((one) => map.thumbnails.card(one, () => map.keep(one)));
  box.replaceChildren(
    make("div", { className: "kept" }, map.thumbnails.original(at),
      make("p", {}, map.thumbnails.link(at), make("br"),
        facts.filter(([, value]) => value).map((fact) => fact.join(": ")).join(", "), " ",
        button("Close", "Close this picture", () => map.keep(-1)))),
    make("p", { className: "keys" }, given ? "Nearest by the features" : "Nearest on the map"),
    make("div", { className: "pictures" }, ...cards));
}

function nearestOnMap({ xy, n }, at) {
  const far = (one) => (xy[2 * one] - xy[2 * at]) ** 2 + (xy[2 * one + 1] - xy[2 * at + 1]) ** 2;
  const best = [];
  for (let one = 0; one < n; one++) {
    const distance = far(one);
    if (one === at || (best.length === NEAREST && distance >= best[NEAREST - 1].distance)) continue;
    best.push({ one, distance });
    best.sort((a, b) => a.distance - b.distance);
    best.splice(NEAREST);
  }
  return best.map(({ one }) => one);
}

// --- the sheet ------------------------------------------------------------------------------

// The pictures of the selection, or of all points that are shown, a page at a time.
class Sheet {
  constructor(map) {
    this.map = map;
    this.page = 0;
    this.words = make("output", {});
    this.order = make("select", {}, new Option("as given", ""),
      ...map.columns.flatMap(({ groups, title }, at) => (groups ? [] : [
        new Option(`least ${title} first`, `${at} 1`), new Option(`most ${title} first`, `${at} -1`)])));
    this.order.addEventListener("change", () => this.turn(0));
    this.place = make("output", {});
    const [back, on] = [[-1, "Previous"], [1, "Next"]].map(([step, text]) => (
      button(text, `${text} page of pictures`, () => this.turn(this.page + step))));
    Object.assign(this, { back, on });
    this.none = button("Clear", "Clear the selection", () => map.highlight(null));
    this.pictures = make("div", { className: "pictures" });
    this.box = make("details", { className: "sheet" }, make("summary", {}, "Pictures: ", this.words),
      make("div", { className: "tools" }, make("label", {}, "Order ", this.order),
        make("span", { className: "buttons" }, back, this.place, on, this.none,
          button("CSV", "Save these pictures as CSV", () => this.save()))),
      this.pictures);
    this.box.addEventListener("toggle", () => this.draw());
    this.show();
  }

  show() {
    const { map } = this;
    this.members = map.selected ?? map.indices((at) => map.shown[at]);
    const left = map.selected && this.members.filter((at) => map.shown[at]);
    if (left) this.members = left;
    const what = map.selected ? map.title : this.members.length < map.n ? "shown" : "all";
    this.words.textContent = `${count(this.members.length)}, ${what}`;
    this.none.hidden = !map.selected;
    if (map.selected) this.box.open = true;
    this.turn(0);
  }

  turn(page) {
    const [column, sign] = this.order.value.split(" ").map(Number);
    const { values } = this.map.columns[column];
    const key = (at) => (Number.isNaN(values[at]) ? Infinity : sign * values[at]); // missing ones last
    this.sorted = this.order.value ? [...this.members].sort((a, b) => key(a) - key(b) || a - b) : this.members;
    this.page = Math.max(0, Math.min(page, this.pages - 1));
    this.draw();
  }

  get pages() {
    return Math.ceil(this.members.length / PER_PAGE);
  }

  draw() {
    if (!this.box.open) return;
    const { map } = this;
    const here = this.sorted.slice(PER_PAGE * this.page, PER_PAGE * (this.page + 1));
    this.place.textContent = ` page ${count(this.page + 1)} of ${count(Math.max(1, this.pages))} `;
    this.back.disabled = this.page === 0;
    this.on.disabled = this.page >= this.pages - 1;
    this.pictures.replaceChildren(...here.map((at) => map.thumbnails.card(at, () => {
      map.keep(at);
      map.stage.scrollIntoView({ block: "nearest" });
    })));
  }

  save() {
    const { map } = this;
    const cell = (text) => `"${String(text).replaceAll('"', '""')}"`;
    const value = (column, at) => {
      const one = column.values[at];
      return column.groups || column.is_date || Number.isNaN(one) ? inWords(column, at) : one;
    };
    const heads = ["name", "x", "y", ...map.columns.map((column) => column.title)];
    const lines = this.sorted.map((at) => [map.thumbnails.name(at), map.xy[2 * at], map.xy[2 * at + 1],
      ...map.columns.map((column) => value(column, at))]);
    saveCsv([heads, ...lines].map((line) => `${line.map(cell).join(",")}\r\n`), `${map.place.id}-pictures`);
  }
}
