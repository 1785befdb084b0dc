// A table of counts whose cells are buttons: choosing one sets `chosen` to [row, column], choosing
// it again clears it.
function render({ model, el }) {
  const draw = () => {
    const { rows, columns, counts, title, corner } = Object.fromEntries(
      ["rows", "columns", "counts", "title", "corner"].map((name) => [name, model.get(name)]),
    );
    const chosen = model.get("chosen");
    const table = document.createElement("table");
    table.className = "matrix";
    table.createCaption().textContent = title;
    const head = table.createTHead().insertRow();
    for (const name of [corner, ...columns]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      head.append(cell);
    }
    const body = table.createTBody();
    counts.forEach((line, i) => {
      const row = body.insertRow();
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = rows[i];
      row.append(name);
      const most = Math.max(1, ...line);
      line.forEach((count, j) => {
        const button = document.createElement("button");
        const share = count / most;
        button.textContent = count || "";
        button.disabled = !count;
        button.ariaLabel = `${rows[i]}, ${columns[j]}: ${count} images`;
        button.ariaPressed = String(chosen[0] === i && chosen[1] === j);
        button.style.background = `rgb(31 90 160 / ${Math.round(share * 100)}%)`;
        button.style.color = share > 0.5 ? "white" : "inherit";
        button.onclick = () => {
          const again = button.ariaPressed === "true";
          model.set("chosen", again ? [] : [i, j]);
          model.save_changes();
        };
        row.insertCell().append(button);
      });
    });
    // Where the keyboard is stays where it was.
    const at = [...el.querySelectorAll("button")].indexOf(document.activeElement);
    el.replaceChildren(table);
    if (at >= 0) el.querySelectorAll("button")[at]?.focus();
  };
  model.on("change:counts change:chosen change:rows change:columns", draw);
  draw();
}
export default { render };
