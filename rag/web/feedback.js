// What a reader says of an answer: right, wrong, or "this is the sentence" of a selection in the pane.

const SAID = "said"; // in sessionStorage: what was said, by a turn's data
const frame = document.querySelector("#pane iframe");
const choose = document.querySelector("#pane .choose");
let asked = null; // the turn whose source is in the pane

async function tell(turn, said, places) {
  const {question} = JSON.parse(turn.dataset.turn);
  const answer = await fetch("/feedback", {
    method: "PUT",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify({question, said, places}),
  });
  if (!answer.ok) return;
  const all = JSON.parse(sessionStorage.getItem(SAID) ?? "{}");
  sessionStorage.setItem(SAID, JSON.stringify({...all, [turn.dataset.turn]: said}));
  show();
}

// Turns are drawn anew with every answer: press what was pressed.
function show() {
  const all = JSON.parse(sessionStorage.getItem(SAID) ?? "{}");
  for (const button of document.querySelectorAll(".turn [data-said]")) {
    const pressed = String(all[button.closest(".turn").dataset.turn] === button.dataset.said);
    if (button.ariaPressed !== pressed) button.ariaPressed = pressed;
  }
}

document.addEventListener("click", event => {
  const turn = event.target.closest?.(".turn");
  if (event.target.closest?.("a.opens")) asked = turn;
  const button = event.target.closest?.("[data-said]");
  if (!button) return;
  const {quotes} = JSON.parse(turn.dataset.turn);
  const places = button.dataset.said === "right" ? quotes : [];
  tell(turn, button.dataset.said, places.map(({document, start, end}) => ({document, start, end})));
});

// A selection in the document, as characters of its text: code points, as the server counts them.
function selected() {
  const page = frame.contentDocument;
  const text = page.getElementById("text");
  const selection = page.getSelection();
  if (!text || !selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  if (!text.contains(range.startContainer) || !text.contains(range.endContainer)) return null;
  const before = page.createRange();
  before.setStart(text, 0);
  before.setEnd(range.startContainer, range.startOffset);
  const start = [...before.toString()].length;
  const name = decodeURIComponent(page.location.pathname.slice("/documents/".length));
  return {document: name, start, end: start + [...range.toString()].length};
}

frame.addEventListener("load", () => {
  choose.hidden = true;
  frame.contentDocument.addEventListener("selectionchange", () => { choose.hidden = !selected(); });
});
choose.addEventListener("click", () => {
  const place = selected();
  const turn = asked?.isConnected ? asked : [...document.querySelectorAll("#thread .turn[data-turn]")].at(-1);
  if (place && turn) tell(turn, "sentence", [place]);
  choose.hidden = true;
});
new MutationObserver(show).observe(document.body, {subtree: true, childList: true});
