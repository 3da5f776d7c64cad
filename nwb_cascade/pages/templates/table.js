// The table of all rows: sorting, searching, paging. Numbers sort as numbers, unknown values last.
const ROWS_PER_PAGE = 50;

class RowTable {
  constructor(facts, onSelect) {
    this.facts = facts;
    this.onSelect = onSelect;
    this.order = facts.rows.ids.map((_, i) => i);
    this.only = null;
    this.page = 0;
    this.sortedBy = null;
    this.selected = 0;
    this.makeHead();
    for (const [id, event] of [["filter", "input"], ["warned", "change"]]) {
      document.getElementById(id).addEventListener(event, () => { this.page = 0; this.draw(); });
    }
    document.getElementById("clear").addEventListener("click", () => this.showOnly(null));
    document.getElementById("page-back").addEventListener("click", () => { this.page--; this.draw(); });
    document.getElementById("page-on").addEventListener("click", () => { this.page++; this.draw(); });
    const warnings = facts.columns.find((column) => column.key === "warnings");
    document.getElementById("warned-label").hidden = !warnings;
    if (warnings) document.getElementById("warned-label").lastChild.textContent = ` only with ${warnings.label.toLowerCase()}`;
  }

  makeHead() {
    const row = document.createElement("tr");
    this.facts.columns.forEach((column, index) => {
      const cell = document.createElement("th"), button = document.createElement("button");
      cell.scope = "col";
      cell.className = column.kind;
      button.type = "button";
      button.textContent = column.label;
      button.addEventListener("click", () => this.sort(index));
      cell.append(button);
      row.append(cell);
    });
    document.querySelector("#rows thead").append(row);
  }

  sort(index) {
    const column = this.facts.columns[index], sign = this.sortedBy && this.sortedBy[0] === index ? -this.sortedBy[1] : 1;
    this.sortedBy = [index, sign];
    const value = (row) => column.values[row];
    const unknown = (v) => v === null || v === "";
    this.order.sort((a, b) => {
      const x = value(a), y = value(b);
      if (unknown(x) || unknown(y)) return unknown(x) - unknown(y) || a - b;
      const difference = column.kind === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
      return sign * difference || a - b;
    });
    document.querySelectorAll("#rows th").forEach((cell, i) => {
      cell.toggleAttribute("aria-sort", i === index);
      if (i === index) cell.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const button = cell.firstChild;
      button.textContent = this.facts.columns[i].label + (i === index ? (sign > 0 ? " ▲" : " ▼") : "");
    });
    this.page = 0;
    this.draw();
  }

  showOnly(rows) {
    this.only = rows && new Set(rows);
    this.page = 0;
    if (!rows) { document.getElementById("filter").value = ""; document.getElementById("warned").checked = false; }
    this.draw();
  }

  visible() {
    const words = document.getElementById("filter").value.trim().toLowerCase();
    const warned = document.getElementById("warned").checked && this.facts.columns.find((c) => c.key === "warnings");
    return this.order.filter((row) => (!this.only || this.only.has(row)) && (!warned || warned.values[row]) &&
      (!words || this.facts.columns.some((column) => cellText(column, row).toLowerCase().includes(words))));
  }

  // The next row up or down in the order of the table.
  neighbour(step) {
    const rows = this.visible(), at = rows.indexOf(this.selected);
    return at < 0 ? rows[0] : rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  }

  select(row) {
    this.selected = row;
    const at = this.visible().indexOf(row);
    if (at >= 0) this.page = Math.floor(at / ROWS_PER_PAGE);
    this.draw();
  }

  draw() {
    const rows = this.visible(), nPages = Math.max(1, Math.ceil(rows.length / ROWS_PER_PAGE));
    this.page = Math.min(Math.max(this.page, 0), nPages - 1);
    const shown = rows.slice(this.page * ROWS_PER_PAGE, (this.page + 1) * ROWS_PER_PAGE);
    document.querySelector("#rows tbody").replaceChildren(...shown.map((row) => this.row(row)));
    document.getElementById("matches").textContent = `${rows.length} of ${this.order.length} shown`;
    document.getElementById("clear").hidden = rows.length === this.order.length;
    document.getElementById("pages").hidden = nPages === 1;
    document.getElementById("page-number").textContent = `rows ${this.page * ROWS_PER_PAGE + 1} to ${this.page * ROWS_PER_PAGE + shown.length}`;
    document.getElementById("page-back").disabled = this.page === 0;
    document.getElementById("page-on").disabled = this.page === nPages - 1;
  }

  row(row) {
    const element = document.createElement("tr");
    element.dataset.row = row;
    element.setAttribute("aria-current", row === this.selected);
    this.facts.columns.forEach((column, index) => {
      const cell = document.createElement("td");
      cell.className = column.kind;
      if (index === 0) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = cellText(column, row);
        button.setAttribute("aria-label", `Show ${this.facts.rows.name} ${cellText(column, row)}`);
        cell.append(button);
      } else cell.textContent = cellText(column, row);
      element.append(cell);
    });
    element.addEventListener("click", () => this.onSelect(row));
    return element;
  }
}

function cellText(column, row) {
  const value = column.values[row];
  if (value === null) return "–";
  return column.kind === "number" && column.digits !== undefined ? value.toFixed(column.digits) : String(value);
}
