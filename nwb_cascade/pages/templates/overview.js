// The table of results sorts by a click on the name of a column.
const table = document.getElementById("rows");
table.tHead.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const cell = button.parentElement, column = cell.cellIndex, isNumber = cell.className === "number";
  const down = cell.getAttribute("aria-sort") === "ascending";
  for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.cells[column].textContent;
  const compare = isNumber ? (a, b) => (parseFloat(key(a)) || 0) - (parseFloat(key(b)) || 0)
    : (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
  const rows = Array.from(table.tBodies[0].rows).sort(compare);
  table.tBodies[0].append(...(down ? rows.reverse() : rows));
});
