// The interactive maps. Each draws its points on a plain canvas: a hundred thousand of them take some
// hundredths of a second without a graphics card, and no library of a megabyte comes into the page.
// `report/maps.py` documents the data; `map_points.js` reads and draws the points, and `map_panels.js` has
// what stands around a map.
//
// For other scripts: the element of a map sends "mapready" (it bubbles) once `element.map` is there.
// `map.highlight(indices, title)` selects points and shows their pictures; null selects none.
// The element sends "selection", with `detail.indices` and `detail.title`, whenever that changes.
"use strict";

const AS_PICTURES = 400; // so many points in view show their pictures, where there is room
const FAR = 10; // pixels from a point at which the mouse still finds it

class ClusterMap {
  constructor(place, data) {
    Object.assign(this, data, { place });
    this.selected = null; // indices, or null for none
    this.title = "";
    this.kept = -1;
    this.corners = []; // of the lasso or the rectangle, in the units of the points
    this.pointers = new Map();
    this.shown = new Uint8Array(this.n).fill(1);
    this.isSelected = new Uint8Array(this.n);
    // A fixed order that mixes the groups, so that none lies on top of the others.
    const rank = Uint32Array.from({ length: this.n }, (_, at) => Math.imul(at + 1, 2654435761));
    this.order = Uint32Array.from(rank.keys()).sort((a, b) => rank[a] - rank[b]);
    this.thumbnails = new Thumbnails(this);
    this.build();
    this.listen();
    this.colour(this.columns[0]);
  }

  build() {
    this.canvas = make("canvas", { tabIndex: 0 });
    this.pen = this.canvas.getContext("2d");
    this.tip = make("div", { className: "tip", hidden: true });
    this.stage = make("div", { className: "stage" }, this.canvas, this.tip);
    const keys = make("p", { className: "keys", id: `${this.place.id}-keys` },
      `Map by ${this.axes}. Drag to move; click the map, then scroll to zoom; click a point to keep it; click the number of a group `
      + "to list its pictures. With the keyboard: arrows, "
      + "+ and −, 0 for the whole map, Enter for the point nearest to the cross, S for one corner of a "
      + "rectangle at the cross and S again for the other, Escape to end.");
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "map");
    this.canvas.setAttribute("aria-describedby", keys.id);
    this.legend = make("fieldset", { className: "legend" });
    this.keptBox = make("section", { className: "keeper", hidden: true });
    this.keptBox.setAttribute("aria-live", "polite");
    this.filters = new Filters(this.columns, this.n, () => this.filter());
    this.sheet = new Sheet(this);
    this.place.replaceChildren(this.tools(), this.filters.box, this.stage, keys, this.legend, this.keptBox,
      this.sheet.box);
  }

  tools() {
    this.choice = make("select", {}, ...this.columns.map(({ title }, at) => new Option(title, at)));
    this.choice.setAttribute("aria-label", "Coloured by");
    this.choice.addEventListener("change", () => this.colour(this.columns[this.choice.value]));
    this.lasso = make("input", { type: "checkbox" });
    return make("div", { className: "tools" }, make("label", {}, "Coloured by ", this.choice),
      make("label", {}, this.lasso, " Lasso"),
      make("span", { className: "buttons" },
        button("+", "Zoom in", () => this.zoom(1.5)),
        button("−", "Zoom out", () => this.zoom(1 / 1.5)),
        button("Whole map", "Show the whole map", () => this.fit())));
  }

  // --- what is shown and chosen ---

  indices(test) {
    const found = [];
    for (let at = 0; at < this.n; at++) if (test(at)) found.push(at);
    return found;
  }

  filter() {
    this.filters.apply(this.shown);
    this.colour(this.by);
    this.sheet.show();
  }

  highlight(indices, title = "chosen") {
    this.selected = indices === null ? null : [...indices];
    this.title = indices === null ? "" : title;
    this.isSelected.fill(0);
    for (const at of this.selected ?? []) this.isSelected[at] = 1;
    this.sheet.show();
    this.draw();
    const detail = { indices: this.selected ?? [], title: this.title };
    this.place.dispatchEvent(new CustomEvent("selection", { detail }));
  }

  chooseInside(corners) {
    const [left, right, low, high] = [0, 1].flatMap((axis) => {
      const along = corners.map((corner) => corner[axis]);
      return [Math.min(...along), Math.max(...along)];
    });
    const found = this.indices((at) => {
      const [x, y] = [this.xy[2 * at], this.xy[2 * at + 1]];
      const near = this.shown[at] && x >= left && x <= right && y >= low && y <= high;
      return near && isInside(x, y, corners);
    });
    this.highlight(found.length ? found : null, "inside the line");
  }

  keep(at) {
    this.kept = at;
    drawKept(this.keptBox, this, at);
    this.draw();
  }

  colour(column) {
    this.by = column;
    this.choice.value = this.columns.indexOf(column);
    const { values, groups, quantile } = column;
    this.paints = groups ? [...column.colours, MISSING].map(visible) : [...SCALE, MISSING];
    const last = this.paints.length - 1;
    const [low, high] = groups ? [] : [quantile(0.02), quantile(0.98)];
    const step = (value) => Math.floor(((value - low) / (high - low || 1)) * last);
    this.paint = Uint16Array.from(values, groups
      ? (code) => (code < 0 ? last : code)
      : (value) => (Number.isNaN(value) ? last : Math.max(0, Math.min(last - 1, step(value)))));
    // In runs of one colour, since to change it takes longer than to draw a point.
    const run = (at) => Math.floor((at * 40) / this.n) * this.paints.length + this.paint[this.order[at]];
    const runs = Uint32Array.from(this.order.keys(), run);
    this.drawn = Uint32Array.from(runs.keys()).sort((a, b) => runs[a] - runs[b]).map((at) => this.order[at]);
    this.labels = groups ? this.groupLabels() : [];
    drawLegend(this.legend, this);
    this.canvas.setAttribute("aria-label",
      `Map of ${count(this.n)} points (${this.axes}), coloured by ${column.title}`);
    this.draw();
  }

  // The names of the groups, each at the median of its shown points, the largest first.
  groupLabels() {
    const { values, groups } = this.by;
    const members = groups.map(() => []);
    for (let at = 0; at < this.n; at++) if (values[at] >= 0 && this.shown[at]) members[values[at]].push(at);
    const middle = (inside, axis) => Float32Array.from(inside, (at) => this.xy[2 * at + axis])
      .sort()[inside.length >> 1];
    return groups.map((text, code) => ({ text, inside: members[code] }))
      .filter(({ text, inside }) => inside.length && text !== "noise")
      .map(({ text, inside }) => ({ text, size: inside.length, x: middle(inside, 0), y: middle(inside, 1) }))
      .sort((a, b) => b.size - a.size);
  }

  // --- where it is seen from ---

  fit() {
    const [left, right, low, high] = [0, 1].flatMap((axis) => {
      let [least, most] = [Infinity, -Infinity];
      for (let at = axis; at < 2 * this.n; at += 2) {
        least = Math.min(least, this.xy[at]);
        most = Math.max(most, this.xy[at]);
      }
      return [least, most];
    });
    const room = (pixels, units) => (pixels - 40) / (units || 1);
    this.whole = Math.min(room(this.width, right - left), room(this.height, high - low));
    this.view = { x: (left + right) / 2, y: (low + high) / 2, scale: this.whole };
    this.draw();
  }

  toScreen(x, y) {
    const { view, width, height } = this;
    return [(x - view.x) * view.scale + width / 2, (view.y - y) * view.scale + height / 2];
  }

  fromScreen(left, top) {
    const { view, width, height } = this;
    return [(left - width / 2) / view.scale + view.x, view.y - (top - height / 2) / view.scale];
  }

  move(across, down) {
    this.view.x -= across / this.view.scale;
    this.view.y += down / this.view.scale;
    this.draw();
  }

  // Enlarge by a factor; what is at a place on the screen stays there.
  zoom(factor, left = this.width / 2, top = this.height / 2) {
    const [x, y] = this.fromScreen(left, top);
    this.view.scale = Math.max(this.whole / 4, Math.min(this.whole * 2000, this.view.scale * factor));
    const [nowLeft, nowTop] = this.toScreen(x, y);
    this.move(left - nowLeft, top - nowTop);
  }

  resize() {
    const { width, height } = this.stage.getBoundingClientRect();
    if (!width) return;
    Object.assign(this, { width, height });
    this.canvas.width = width * devicePixelRatio;
    this.canvas.height = height * devicePixelRatio;
    if (this.view) this.draw();
    else this.fit();
  }

  // The shown point nearest to a place on the screen. A loop over a hundred thousand points takes
  // less than a millisecond, so that no index is kept.
  at(left, top, far = FAR) {
    const [x, y] = this.fromScreen(left, top);
    let [best, least] = [-1, (far / this.view.scale) ** 2];
    for (let at = 0; at < this.n; at++) {
      const distance = (this.xy[2 * at] - x) ** 2 + (this.xy[2 * at + 1] - y) ** 2;
      if (distance <= least && this.shown[at]) [best, least] = [at, distance];
    }
    return best;
  }

  // --- drawing ---

  draw() {
    if (!this.view || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paintAll();
    });
  }

  paintAll() {
    const { pen, width, height } = this;
    const style = getComputedStyle(this.place);
    const [ink, page, soft] = ["--ink", "--page", "--soft"].map((name) => style.getPropertyValue(name));
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const inView = this.paintPoints(soft, page);
    if (this.thumbs && inView.length <= AS_PICTURES) this.paintPictures(inView);
    this.paintLabels(ink, page);
    if (this.kept >= 0) this.paintRing(this.kept, ink, page);
    this.paintLine(ink);
  }

  // Draw the points, those that are hidden or not selected faintly; return the others in view.
  paintPoints(soft, page) {
    const { xy, view, width, height, drawn } = this;
    const isStrong = (at) => this.shown[at] && (!this.selected || this.isSelected[at]);
    const [left, top] = [width / 2 - view.x * view.scale, height / 2 + view.y * view.scale];
    const x = (at) => left + xy[2 * at] * view.scale;
    const y = (at) => top - xy[2 * at + 1] * view.scale;
    const inView = drawn.filter((at) => x(at) > -9 && y(at) > -9 && x(at) < width + 9 && y(at) < height + 9);
    const strong = inView.filter(isStrong);
    const brush = inView.length > MANY ? new Pixels(this.pen, page) : new Dots(this.pen, this.dotSize());
    brush.take(soft, 0.15);
    if (strong.length < inView.length) for (const at of inView) if (!isStrong(at)) brush.dot(x(at), y(at));
    let paint = -1;
    for (const at of strong) {
      if (this.paint[at] !== paint) brush.take(this.paints[paint = this.paint[at]], 0.8);
      brush.dot(x(at), y(at));
    }
    brush.finish();
    return strong;
  }

  dotSize() {
    const closer = Math.max(1, Math.min(3, Math.sqrt(this.view.scale / this.whole)));
    return (this.n > 3000 ? 1.7 : 3) * closer;
  }

  paintPictures(indices) {
    const { pen, xy } = this;
    const [size, apart] = indices.length > 40 ? [32, 36] : [48, 24]; // few may overlap
    const taken = [];
    for (const at of indices) {
      const [x, y] = this.toScreen(xy[2 * at], xy[2 * at + 1]);
      if (taken.some((one) => Math.abs(one[0] - x) < apart && Math.abs(one[1] - y) < apart)) continue;
      taken.push([x, y]);
      pen.fillStyle = this.paints[this.paint[at]];
      pen.fillRect(x - size / 2 - 2, y - size / 2 - 2, size + 4, size + 4);
      this.thumbnails.draw(pen, at, x - size / 2, y - size / 2, size, () => this.draw());
    }
  }

  paintLabels(ink, page) {
    const { pen } = this;
    Object.assign(pen, { font: "600 13px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
    Object.assign(pen, { lineWidth: 4, lineJoin: "round", strokeStyle: page, fillStyle: ink });
    const taken = [];
    for (const { text, x, y } of this.labels) {
      const [left, top] = this.toScreen(x, y);
      const half = pen.measureText(text).width / 2 + 3;
      if (taken.some((one) => Math.abs(one.left - left) < one.half + half && Math.abs(one.top - top) < 18)) continue;
      taken.push({ left, top, half });
      pen.strokeText(text, left, top);
      pen.fillText(text, left, top);
    }
  }

  paintRing(at, ink, page) {
    const { pen } = this;
    pen.beginPath();
    pen.arc(...this.toScreen(this.xy[2 * at], this.xy[2 * at + 1]), 11, 0, 7);
    for (const [lineWidth, strokeStyle] of [[6, page], [3, ink]]) {
      Object.assign(pen, { lineWidth, strokeStyle });
      pen.stroke();
    }
  }

  paintLine(ink) {
    const { pen, width, height } = this;
    Object.assign(pen, { lineWidth: 1.5, strokeStyle: ink });
    pen.beginPath();
    const corners = this.from ? this.rectangle() : this.corners;
    for (const corner of corners) pen.lineTo(...this.toScreen(...corner));
    if (corners.length) pen.closePath();
    if (this.byKeys) {
      pen.moveTo(width / 2 - 8, height / 2);
      pen.lineTo(width / 2 + 8, height / 2);
      pen.moveTo(width / 2, height / 2 - 8);
      pen.lineTo(width / 2, height / 2 + 8);
    }
    pen.stroke();
  }

  // From the corner that was set by key to the middle of the view.
  rectangle() {
    const [[x0, y0], { x, y }] = [this.from, this.view];
    return [[x0, y0], [x, y0], [x, y], [x0, y]];
  }

  // --- mouse, touch and keys ---

  listen() {
    const { canvas } = this;
    const place = (event) => {
      const { left, top } = canvas.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    canvas.addEventListener("pointerdown", (event) => this.press(event, place(event)));
    canvas.addEventListener("pointermove", (event) => this.drag(event, place(event)));
    canvas.addEventListener("pointerup", (event) => this.release(event, place(event)));
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    canvas.addEventListener("keydown", (event) => this.pressKey(event));
    canvas.addEventListener("blur", () => { this.byKeys = false; this.draw(); });
    // The page goes on scrolling under the mouse until the map has been clicked.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.zoom(1.0015 ** -event.deltaY, ...place(event));
    }, { passive: false });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.colour(this.by));
    new ResizeObserver(() => this.resize()).observe(this.stage);
  }

  press(event, place) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, place);
    this.travelled = this.pointers.size > 1 ? Infinity : 0;
    this.isLasso = this.pointers.size === 1 && (this.lasso.checked || event.shiftKey);
    this.corners = this.isLasso ? [this.fromScreen(...place)] : [];
  }

  drag(event, place) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.showTip(place);
    const [across, down] = [place[0] - before[0], place[1] - before[1]];
    this.travelled += Math.hypot(across, down);
    this.pointers.set(event.pointerId, place);
    this.tip.hidden = true;
    if (this.isLasso) {
      this.corners.push(this.fromScreen(...place));
      return this.draw();
    }
    if (this.pointers.size === 1) return this.move(across, down);
    // Of two fingers the other one stays: what is under it does, too.
    const [, other] = [...this.pointers].find(([id]) => id !== event.pointerId);
    const far = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
    return this.zoom(far(place) / Math.max(1, far(before)), ...other);
  }

  release(event, place) {
    this.pointers.delete(event.pointerId);
    const corners = this.corners;
    this.corners = [];
    if (this.travelled < 5) this.keep(this.at(...place));
    else if (corners.length > 2) this.chooseInside(corners);
    this.isLasso = false;
    this.draw();
  }

  showTip([left, top]) {
    if (!this.view) return;
    const at = this.at(left, top);
    this.tip.hidden = at < 0;
    if (at < 0) return;
    const first = this.columns.filter((column) => column === this.by || !column.title.startsWith("level"));
    const facts = first.slice(0, 6).map((column) => [column.title, inWords(column, at)]);
    this.tip.replaceChildren(this.thumbs ? this.thumbnails.element(at, 96) : "",
      make("strong", {}, this.thumbnails.name(at)),
      ...facts.filter(([, value]) => value).map((fact) => make("div", {}, fact.join(": "))));
    const { tip, width, height } = this;
    tip.style.left = `${Math.min(left + 14, Math.max(0, width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${top + 14 + tip.offsetHeight > height ? top - tip.offsetHeight - 14 : top + 14}px`;
  }

  pressKey(event) {
    const step = 40;
    const acts = {
      ArrowLeft: () => this.move(step, 0),
      ArrowRight: () => this.move(-step, 0),
      ArrowUp: () => this.move(0, step),
      ArrowDown: () => this.move(0, -step),
      "+": () => this.zoom(1.25),
      "=": () => this.zoom(1.25),
      "-": () => this.zoom(0.8),
      0: () => this.fit(),
      Enter: () => this.keep(this.at(this.width / 2, this.height / 2, Infinity)),
      s: () => this.setCorner(),
      Escape: () => this.endAll(),
    };
    const act = event.ctrlKey || event.metaKey || event.altKey ? null : acts[event.key];
    if (!act) return;
    event.preventDefault();
    this.byKeys = true;
    act();
    this.draw();
  }

  setCorner() {
    if (!this.from) this.from = [this.view.x, this.view.y];
    else {
      const corners = this.rectangle();
      this.from = null;
      this.chooseInside(corners);
    }
  }

  endAll() {
    this.from = null;
    this.tip.hidden = true;
    this.keep(-1);
    this.highlight(null);
  }
}

for (const script of document.querySelectorAll("script.map-data")) {
  const place = document.getElementById(script.dataset.place);
  readMap(JSON.parse(script.textContent)).then((data) => {
    place.map = new ClusterMap(place, data);
    place.dispatchEvent(new CustomEvent("mapready", { bubbles: true }));
  });
}
