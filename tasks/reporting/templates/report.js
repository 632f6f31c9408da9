// What the page does beyond being read: tables sort, architectures go and come back, colours follow a switch.
// Without this script every row is there, and no control.
"use strict";

const byWords = new Intl.Collator("en", { numeric: true });
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// Order two cells: numbers by their exact value, texts as texts, what is not known last in either direction.
function compare(one, other, sign) {
  const [x, y] = [one, other].map((cell) => Number(cell.dataset.value ?? NaN));
  if (Number.isNaN(x) && Number.isNaN(y)) return sign * byWords.compare(one.textContent, other.textContent);
  return sign * (x - y) || Number.isNaN(x) - Number.isNaN(y);
}

function sort(head) {
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  for (const each of head.parentElement.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const [body] = head.closest("table").tBodies;
  const cellOf = (row) => row.cells[head.cellIndex];
  body.append(...[...body.rows].sort((one, other) => compare(cellOf(one), cellOf(other), ascending ? 1 : -1)));
}

// The head's words move into a button, which a keyboard reaches.
function makeSortable(head) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  button.addEventListener("click", () => sort(head));
  head.append(button);
}

// Hide the rows that are about an architecture that is switched off, and the columns that it heads.
function filter(table, off) {
  const hidden = (cell) => off.has(cell.dataset.architecture);
  const columns = [...table.tHead.rows[0].cells].map(hidden);
  for (const row of table.rows) {
    for (const cell of row.cells) cell.hidden = columns[cell.cellIndex];
    row.hidden = row.parentElement !== table.tHead && [...row.cells].some(hidden);
  }
}

// A table is one stop of the Tab key: its first figure. From there the arrow keys go on.
function placeStop(table) {
  const figures = [...table.querySelectorAll("td[data-exact]")];
  for (const figure of figures) figure.tabIndex = -1;
  const first = figures.find((figure) => !figure.hidden && !figure.parentElement.hidden);
  if (first) first.tabIndex = 0;
}

function walk(event) {
  const [cell, step] = [event.target.closest("td[data-exact]"), STEPS[event.key]];
  if (!cell || !step) return;
  event.preventDefault();
  const rows = [...cell.closest("tbody").rows].filter((row) => !row.hidden);
  let [row, column, next] = [rows.indexOf(cell.parentElement), cell.cellIndex, cell];
  do {
    row += step[0];
    column += step[1];
    next = rows[row]?.cells[column];
  } while (next && (next.hidden || !next.dataset.exact));
  if (!next) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

const tables = [...document.querySelectorAll("table")].filter((table) => table.tHead);
const switches = [...document.querySelectorAll("#architectures input")];
const themes = [...document.querySelectorAll("#theme input")];

function showArchitectures() {
  const off = new Set(switches.filter((each) => !each.checked).map((each) => each.value));
  for (const table of tables) {
    filter(table, off);
    placeStop(table);
  }
}

function showTheme() {
  document.documentElement.dataset.theme = themes.find((each) => each.checked).value;
}

for (const table of tables) {
  for (const head of table.tHead.rows[0].cells) makeSortable(head);
  table.addEventListener("keydown", walk);
}
for (const each of switches) each.addEventListener("change", showArchitectures);
for (const each of themes) each.addEventListener("change", showTheme);
for (const controls of document.querySelectorAll(".controls")) controls.hidden = false;
// A browser may remember what was ticked when the page was last open.
showArchitectures();
showTheme();
