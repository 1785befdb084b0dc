// Makes the headings of ".sortable" tables into buttons that sort the rows. Without scripts, and in
// print, the tables stay as they are.
"use strict";
for (const table of document.querySelectorAll(".sortable table")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
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
