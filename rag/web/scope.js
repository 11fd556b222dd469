// Which documents a conversation asks: some by name, or those of a range of dates.

const SCOPE = "scope"; // in sessionStorage: {"documents": […], "from": …, "to": …} as JSON
const SHOWN = 200; // documents listed at once

document.body.insertAdjacentHTML("beforeend", `
  <dialog id="scope" aria-labelledby="scope-title">
    <form method="dialog">
      <h2 id="scope-title">Ask only these documents</h2>
      <p><label>From <input type="date" name="from"></label> <label>to <input type="date" name="to"></label></p>
      <p><input type="search" aria-label="Find a document" placeholder="Find a document"></p>
      <ul></ul>
      <p class="acts"><button value="all">All documents</button><button value="some">Ask these</button></p>
    </form>
  </dialog>`);
const dialog = document.getElementById("scope");
const form = dialog.querySelector("form");
const search = dialog.querySelector("input[type=search]");
const list = dialog.querySelector("ul");
let catalogue = [];
let chosen = new Set();

function read() {
  return JSON.parse(sessionStorage.getItem(SCOPE) ?? "{}");
}

async function show() {
  catalogue = await (await fetch("/catalogue")).json();
  const scope = read();
  chosen = new Set(scope.documents);
  form.elements.from.value = scope.from ?? "";
  form.elements.to.value = scope.to ?? "";
  search.value = "";
  draw();
  dialog.showModal();
}

function draw() {
  const words = search.value.toLowerCase();
  const fitting = catalogue.filter(d => `${d.title}\n${d.name}`.toLowerCase().includes(words));
  list.replaceChildren(...fitting.slice(0, SHOWN).map(row));
}

function row({name, title, date}) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), {type: "checkbox", checked: chosen.has(name)});
  box.addEventListener("change", () => chosen[box.checked ? "add" : "delete"](name));
  label.append(box, ` ${title} `, Object.assign(document.createElement("small"), {textContent: date ?? ""}));
  const item = document.createElement("li");
  item.append(label);
  return item;
}

// What is asked now, in the button's words.
function tell() {
  const {documents = [], from, to} = read();
  const parts = [];
  if (documents.length) parts.push(documents.length === 1 ? documents[0] : `${documents.length} documents`);
  if (from || to) parts.push(`dated ${from || "…"} to ${to || "…"}`);
  const button = document.getElementById("choose");
  const words = parts.length ? `Asking only ${parts.join(", ")}` : "Asking all documents";
  if (button && button.textContent !== words) button.textContent = words;
}

search.addEventListener("input", draw);
search.addEventListener("keydown", event => { if (event.key === "Enter") event.preventDefault(); });
dialog.addEventListener("close", () => {
  if (dialog.returnValue === "all") sessionStorage.removeItem(SCOPE);
  else if (dialog.returnValue === "some")
    sessionStorage.setItem(SCOPE, JSON.stringify({
      documents: [...chosen], from: form.elements.from.value, to: form.elements.to.value,
    }));
  tell();
});
document.addEventListener("click", event => {
  if (event.target.closest?.("#choose")) show();
});
new MutationObserver(tell).observe(document.body, {subtree: true, childList: true});
tell();
