// The table of questions: filter, sort, open. Text only ever enters the page as textContent.
"use strict";

const { columns, questions } = JSON.parse(document.getElementById("data").textContent);
const search = document.getElementById("search");
const verdicts = document.getElementById("verdicts");
const kinds = document.getElementById("kinds");
const count = document.getElementById("count");
const head = document.getElementById("head");
const body = document.getElementById("questions");
const collator = new Intl.Collator(undefined, { numeric: true });
let sorted = { column: -1, ascending: true };

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function show(value, digits) {
  if (value === null) return "–";
  return typeof value === "number" ? value.toFixed(digits) : value;
}

function cell(question, column, number) {
  const value = show(question.cells[number], column.digits);
  if (column.name === "question") {
    return element("td", {}, element("button", { "aria-expanded": "false" }, value));
  }
  const kind = column.name === "verdict" ? `verdict ${question.tone}` : "";
  return element("td", { class: column.digits === null ? kind : "number" }, value);
}

function row(question) {
  const made = element("tr", { class: "question" }, ...columns.map((c, i) => cell(question, c, i)));
  made.querySelector("button").addEventListener("click", () => toggle(made, question));
  return made;
}

function toggle(line, question) {
  const button = line.querySelector("button");
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  if (open) line.nextSibling.remove();
  else line.after(element("tr", { class: "opened" }, details(question)));
}

function details(question) {
  const made = element("td", { colspan: columns.length });
  for (const note of question.notes) made.append(element("p", { class: "muted" }, note));
  for (const list of question.lists) {
    const items = list.items.map((text) => element("li", {}, text));
    made.append(element("section", {}, element("h3", {}, list.title), element("ol", {}, ...items)));
  }
  for (const excerpt of question.excerpts) {
    const parts = excerpt.parts.map(([text, marks]) =>
      marks ? element("mark", { class: marks }, text) : text);
    made.append(element("section", {}, element("h3", {}, excerpt.place), element("pre", {}, ...parts)));
  }
  return made;
}

function compare(a, b) {
  const [x, y] = [a.cells[sorted.column], b.cells[sorted.column]];
  if (x === null || y === null) return (x === null) - (y === null); // what has no value comes last
  const order = typeof x === "number" ? x - y : collator.compare(x, y);
  return sorted.ascending ? order : -order;
}

function render() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = questions.filter((question) =>
    (!verdicts.value || question.verdict === verdicts.value) &&
    (!kinds.value || question.kind === kinds.value) &&
    words.every((word) => question.words.includes(word)));
  if (sorted.column >= 0) shown.sort(compare);
  body.replaceChildren(...shown.map(row));
  count.textContent = `${shown.length} of ${questions.length}`;
}

function sortBy(column) {
  const same = sorted.column === column;
  sorted = { column, ascending: same ? !sorted.ascending : true };
  [...head.children].forEach((th, i) => {
    if (i === column) th.setAttribute("aria-sort", sorted.ascending ? "ascending" : "descending");
    else th.removeAttribute("aria-sort");
  });
  render();
}

function choices(select, all, name) {
  select.append(element("option", { value: "" }, all));
  const counts = new Map();
  for (const question of questions) {
    if (question[name]) counts.set(question[name], (counts.get(question[name]) || 0) + 1);
  }
  for (const [value, number] of counts) {
    select.append(element("option", { value }, `${value} (${number})`));
  }
  select.hidden = counts.size === 0;
}

for (const question of questions) question.words = question.cells.join(" ").toLowerCase();
columns.forEach((column, number) => {
  const button = element("button", {}, column.title);
  button.addEventListener("click", () => sortBy(number));
  head.append(element("th", column.digits === null ? {} : { class: "number" }, button));
});
choices(verdicts, "every verdict", "verdict");
choices(kinds, "every kind", "kind");
for (const filter of [search, verdicts, kinds]) filter.addEventListener("input", render);
render();
