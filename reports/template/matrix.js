// The table of clusters and classes beside a map, linked with it both ways: a cell that is chosen
// lights up its points and shows their pictures; points chosen on the map are counted in the cells and
// listed in a table that can be saved. Rows are clusters and columns classes, as in the printed figure.
"use strict";

const LISTED = 100; // rows of the table of chosen points; the saved one has all

document.addEventListener("mapready", ({ target }) => {
  const [classes, clusters] = ["class", "cluster"].map((title) => (
    target.map.columns.find((column) => column.title === title && column.groups)));
  if (!classes || !clusters) return;
  const data = document.querySelector(`script.matrix-data[data-place="${target.id}"]`);
  const table = data ? JSON.parse(data.textContent) : countPoints(target.map, classes, clusters);
  linkMatrix(target.map, classes, clusters, table);
});

// Where the map shows all images, its points are counted; the order is that of the commonest classes.
function countPoints(map, classes, clusters) {
  const counts = clusters.groups.map(() => classes.groups.map(() => 0));
  for (let at = 0; at < map.n; at++) {
    if (classes.values[at] >= 0 && clusters.values[at] >= 0) {
      counts[clusters.values[at]][classes.values[at]] += 1;
    }
  }
  const commonest = counts.map((row) => row.indexOf(Math.max(...row)));
  const order = [...counts.keys()].sort((a, b) => commonest[a] - commonest[b] || a - b);
  return {
    classes: classes.groups,
    clusters: order.map((row) => clusters.groups[row]),
    matched: order.map((row) => classes.groups[commonest[row]]),
    counts: order.map((row) => counts[row]),
  };
}

function linkMatrix(map, classes, clusters, table) {
  const chosen = makeChosen(map);
  const matrix = makeMatrix(map, classes, clusters, table);
  map.legend.after(matrix.box, chosen.box);
  map.place.addEventListener("selection", ({ detail }) => {
    matrix.mark(detail);
    chosen.list(detail);
  });
}

function makeMatrix(map, classes, clusters, { classes: columns, clusters: rows, matched, counts, figure }) {
  const [row, column] = [rows, columns].map((names, side) => (
    names.map((name) => [clusters, classes][side].groups.indexOf(name))));
  const isIn = (of, codes, place) => (at) => place < 0 || of.values[at] === codes[place];
  // Those of a cell; of a whole row or column if the other place is −1.
  const points = (r, c) => {
    const [inRow, inColumn] = [isIn(clusters, row, r), isIn(classes, column, c)];
    return map.indices((at) => inRow(at) && inColumn(at));
  };
  const words = (r, c) => [c < 0 ? "all classes" : `class ${columns[c]}`, r >= 0 && `cluster ${rows[r]}`]
    .filter(Boolean).join(" in ");
  const chooser = (text, r, c, what) => button(text, `Show ${what} ${words(r, c)}`, () => (
    map.highlight(points(r, c), words(r, c))));
  const cells = counts.map((line, r) => line.map((size, c) => {
    const share = size / Math.max(1, line.reduce((sum, one) => sum + one, 0));
    const cell = make("td", { className: columns[c] === matched[r] ? "matched" : "" },
      size ? chooser(count(size), r, c, `the ${count(size)} images of`) : null, make("small", {}));
    cell.style.background = `color-mix(in srgb, var(--link) ${Math.round(45 * share)}%, transparent)`;
    return cell;
  }));
  const head = make("tr", {}, make("th", { scope: "col", textContent: "cluster \\ class" }),
    ...columns.map((name, c) => make("th", { scope: "col" }, chooser(name, -1, c, "all images of"))));
  const lines = rows.map((name, r) => make("tr", {},
    make("th", { scope: "row" }, chooser(name, r, -1, "all images of"),
      ...(matched[r] === null ? [] : [` ${matched[r]}`])), ...cells[r]));
  const grid = make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
  oneTabStop(grid);
  const total = counts.flat().reduce((sum, one) => sum + one, 0);
  const printed = document.getElementById(figure)?.querySelector("figcaption strong");
  const source = printed && make("a", { href: `#${figure}`, textContent: printed.textContent.replace(/\.$/, "") });
  const note = make("p", { className: "keys" }, `Counts of all ${count(total)} images`,
    ...(source ? [", as in ", source] : []), `; the map has ${count(map.n)} of them. `,
    "A cell, a row or a column that is chosen lights up its points; points chosen on the map are "
    + "counted in small figures. Shade: share of the row.");
  const box = make("details", { className: "matrix", open: true },
    make("summary", {}, "Clusters and classes"), scroller("Clusters and classes", grid), note);

  function mark({ indices, title }) {
    const found = counts.map((line) => line.map(() => 0));
    const places = [row, column].map((codes) => new Map(codes.map((code, place) => [code, place])));
    for (const at of indices) {
      const [r, c] = [places[0].get(clusters.values[at]), places[1].get(classes.values[at])];
      if (r !== undefined && c !== undefined) found[r][c] += 1;
    }
    cells.forEach((line, r) => line.forEach((cell, c) => {
      cell.querySelector("small").textContent = found[r][c] ? count(found[r][c]) : "";
      cell.classList.toggle("chosen", found[r][c] > 0);
      cell.querySelector("button")?.setAttribute("aria-pressed", indices.length > 0 && title === words(r, c));
    }));
  }

  return { box, mark };
}

// One stop for the Tab key; arrows lead from button to button, in the direction they show.
function oneTabStop(table) {
  const all = [...table.querySelectorAll("button")];
  const stop = (at) => all.forEach((one) => { one.tabIndex = one === at ? 0 : -1; });
  const lines = [...table.rows].map((line) => [...line.cells].map((cell) => cell.querySelector("button")));
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  stop(all[0]);
  table.addEventListener("focusin", ({ target }) => stop(target));
  table.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    let r = lines.findIndex((line) => line.includes(event.target));
    let c = lines[r].indexOf(event.target);
    do [r, c] = [r + step[0], c + step[1]]; while (lines[r]?.[c] === null);
    lines[r]?.[c]?.focus();
  });
}

// The chosen points as a table; the pictures themselves are in the map's own sheet.
function makeChosen(map) {
  const words = make("output", {});
  const body = make("tbody", {});
  const heads = ["image", ...map.columns.map(({ title }) => title)];
  const table = make("table", {}, make("thead", {}, make("tr", {},
    ...heads.map((title) => make("th", { scope: "col", textContent: title })))), body);
  const tools = make("p", { className: "tools" }, words,
    button("CSV", "Save the chosen images as CSV", () => map.sheet.save()));
  const box = make("details", { className: "chosen-points", hidden: true, open: true },
    make("summary", {}, "Chosen images"), tools, scroller("Chosen images", table));

  function list({ indices, title }) {
    box.hidden = !indices.length;
    const left = indices.length > LISTED ? `, the first ${count(LISTED)} of which are listed` : "";
    words.textContent = `${count(indices.length)} on the map, ${title}${left}`;
    body.replaceChildren(...indices.slice(0, LISTED).map((at) => make("tr", {},
      make("th", { scope: "row" }, map.thumbnails.link(at)),
      ...map.columns.map((column) => make("td", { textContent: inWords(column, at) })))));
  }

  return { box, list };
}

function scroller(label, table) {
  const made = make("div", { className: "scroller", tabIndex: 0 }, table);
  made.setAttribute("role", "region");
  made.setAttribute("aria-label", label);
  return made;
}
