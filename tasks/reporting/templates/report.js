// Interaction: sort tables, hide architectures, open all sections, choose a theme, and show all digits of a number by keyboard.
// Without this script all rows are visible and the controls are hidden.
"use strict";

const collator = new Intl.Collator("en", { numeric: true });
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// Compare two cells: numbers by their exact value, texts alphabetically; unknown values are last in both directions.
function compare(one, other, sign) {
  const [x, y] = [one, other].map((cell) => Number(cell.dataset.value ?? NaN));
  if (Number.isNaN(x) && Number.isNaN(y)) return sign * collator.compare(one.textContent, other.textContent);
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

// The text of a column header moves into a button, so that the keyboard can reach it.
function makeSortable(head) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  button.addEventListener("click", () => sort(head));
  head.append(button);
}

// Hide the rows and columns of the given architectures.
function filter(table, hiddenArchitectures) {
  const hidden = (cell) => hiddenArchitectures.has(cell.dataset.architecture);
  const columns = [...table.tHead.rows[0].cells].map(hidden);
  for (const row of table.rows) {
    for (const cell of row.cells) cell.hidden = columns[cell.cellIndex];
    row.hidden = row.parentElement !== table.tHead && [...row.cells].some(hidden);
  }
}

// The Tab key reaches one cell of a table, its first number; the arrow keys move on from there (roving tabindex).
function setTabStop(table) {
  const numbers = [...table.querySelectorAll("td[data-exact]")];
  for (const number of numbers) number.tabIndex = -1;
  const first = numbers.find((number) => !number.hidden && !number.parentElement.hidden);
  if (first) first.tabIndex = 0;
}

function moveFocus(event) {
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
const checkboxes = [...document.querySelectorAll("#architectures input")];
const themes = [...document.querySelectorAll("#theme input")];

function showArchitectures() {
  const hiddenArchitectures = new Set(checkboxes.filter((each) => !each.checked).map((each) => each.value));
  for (const table of tables) {
    filter(table, hiddenArchitectures);
    setTabStop(table);
  }
}

// A closed section would be missing on paper.
function openAll() {
  for (const section of document.querySelectorAll("details")) section.open = true;
}

function showTheme() {
  document.documentElement.dataset.theme = themes.find((each) => each.checked).value;
}

for (const table of tables) {
  for (const head of table.tHead.rows[0].cells) makeSortable(head);
  table.addEventListener("keydown", moveFocus);
}
for (const each of checkboxes) each.addEventListener("change", showArchitectures);
for (const each of themes) each.addEventListener("change", showTheme);
document.querySelector("#open-all").addEventListener("click", openAll);
window.addEventListener("beforeprint", openAll);
for (const controls of document.querySelectorAll(".controls")) controls.hidden = false;
// A browser may restore the state of the controls from an earlier visit.
showArchitectures();
showTheme();
