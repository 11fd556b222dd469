// The chat beside Gradio: the reading pane, copying and exporting, the thread that a reload keeps.

const WIDE = matchMedia("(min-width: 68rem)");
const THREAD = "thread"; // in sessionStorage: the turns' HTML as the server made it

// The reading pane

document.body.insertAdjacentHTML("beforeend", `
  <aside id="pane" aria-label="Source" hidden>
    <div class="bar">
      <button type="button" class="previous" aria-label="Previous quote">‹</button>
      <button type="button" class="next" aria-label="Next quote">›</button>
      <p class="place" role="status"></p>
      <button type="button" class="choose" hidden>This answers it</button>
      <a class="own" target="_blank" rel="noopener">Open alone</a>
      <button type="button" class="close" aria-label="Close the source">×</button>
    </div>
    <iframe title="The document, its quotes marked"></iframe>
  </aside>`);
const pane = document.getElementById("pane");
const frame = pane.querySelector("iframe");
const [previous, next, place, own] =
  [".previous", ".next", ".place", ".own"].map(name => pane.querySelector(name));
let opened = null; // the link whose document is in the pane
let dismissed = false; // the reader closed the pane: it opens by a click only
let takesFocus = false;
let seen = 0; // turns that were on the page when it last changed

function open(link, focus) {
  const same = opened?.href === link.href && !pane.hidden;
  opened = link;
  takesFocus = focus;
  pane.hidden = false;
  document.body.classList.add("reading");
  own.href = link.href;
  [previous.disabled, next.disabled] = [!beside(-1), !beside(1)];
  link.scrollIntoView({block: "nearest"});
  if (same) return showPlace();
  pane.ariaBusy = "true";
  // Without the fragment, with which the browser would take the focus into the frame; and no step
  // of the browser's history.
  frame.contentWindow.location.replace(link.href.split("#")[0]);
}

// The link so many quotes before or after the one that is open.
function beside(step) {
  const turn = opened.closest(".turn");
  const links = [...turn.querySelectorAll(turn.querySelector(".marker") ? ".marker" : ".opens")];
  return links[links.indexOf(opened) + step];
}

function showPlace() {
  const page = frame.contentDocument;
  const mark = page.getElementById("quote");
  place.textContent = mark?.dataset.place ?? page.title;
  mark?.scrollIntoView({block: "center", behavior: "instant"});
  mark?.classList.add("current");
  if (mark) mark.tabIndex = -1;
  if (takesFocus) (mark ?? frame).focus({preventScroll: true});
}

function close() {
  pane.hidden = true;
  dismissed = true;
  document.body.classList.remove("reading");
  if (!opened?.isConnected) return;
  opened.focus();
  putAway(opened.closest(".cite"));
}

frame.addEventListener("load", () => {
  const page = frame.contentDocument;
  if (!page || page.URL === "about:blank") return;
  page.documentElement.classList.add("framed");
  page.documentElement.style.colorScheme = getComputedStyle(document.body).colorScheme;
  page.addEventListener("keydown", event => { if (event.key === "Escape") close(); });
  showPlace();
  pane.ariaBusy = "false";
});
previous.addEventListener("click", () => open(beside(-1), false));
next.addEventListener("click", () => open(beside(1), false));
pane.querySelector(".close").addEventListener("click", close);

document.addEventListener("click", event => {
  const link = event.target.closest?.(".turn a.opens");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  putAway(link.closest(".cite"));
  open(link, true);
});

// Previews: Escape puts away the one that is shown, then the pane.

document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  const cite = document.querySelector(".cite:is(:hover, :has(:focus-visible)):not(.away)");
  if (cite) putAway(cite);
  else if (!pane.hidden) close();
});

document.addEventListener("pointermove", () => document.body.classList.remove("still"));

function putAway(cite) {
  cite?.classList.add("away");
}

for (const end of ["pointerout", "focusout"])
  document.addEventListener(end, () => requestAnimationFrame(() => {
    for (const cite of document.querySelectorAll(".cite.away:not(:hover, :has(:focus-visible))"))
      cite.classList.remove("away");
  }));

// A new turn: kept for a reload, and its first quote opened where there is room.

function follow() {
  const turns = document.querySelectorAll("#thread .turn");
  document.body.classList.toggle("asked", turns.length > 0);
  const first = turns[turns.length - 1]?.querySelector(".marker");
  if (opened && !opened.isConnected) opened = again(opened) ?? first;
  if (turns.length !== seen) document.body.classList.add("still"); // no preview until the pointer moves
  if (first && WIDE.matches && !dismissed && turns.length !== seen) open(first, false);
  seen = turns.length;
}
new MutationObserver(follow).observe(document.body, {subtree: true, childList: true});
follow();
// The same link in turns that were drawn anew.
function again(link) {
  return [...document.querySelectorAll("#thread a.opens")].find(other => other.href === link.href);
}

// Copying and exporting

document.addEventListener("click", event => {
  const button = event.target.closest?.("button");
  if (button?.matches(".turn .copy")) copy(button);
  else if (button?.matches("[data-export]")) save(button.dataset.export);
  else if (button?.matches("#forget")) forget();
});

async function copy(button) {
  await navigator.clipboard.writeText(button.closest(".turn").dataset.markdown);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

function save(kind) {
  const turns = [...document.querySelectorAll("#thread .turn[data-turn]")].map(turn => turn.dataset);
  const text = kind === "json"
    ? JSON.stringify({format: 1, turns: turns.map(turn => JSON.parse(turn.turn))}, null, 1)
    : turns.map(turn => turn.markdown).join("\n---\n\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/octet-stream"}));
  link.download = kind === "json" ? "conversation.json" : "conversation.md";
  link.click();
  URL.revokeObjectURL(link.href);
}

function forget() {
  sessionStorage.removeItem(THREAD);
  location.reload();
}
