// The page of evals: begin a run, show how far it is, then what came out.

const listed = document.getElementById("listed");
const state = document.getElementById("state");
const progress = document.getElementById("progress");
const button = document.getElementById("run");

async function begin() {
  const name = document.getElementById("set").value;
  const answer = await fetch(`/evals/runs/${encodeURIComponent(name)}`, {method: "PUT"});
  if (answer.ok) return watch();
  const problem = await answer.json().catch(() => ({}));
  state.textContent = problem.detail ?? answer.statusText;
}

// Show the run until it ends, then the page anew, with the run in it.
async function watch() {
  for (;;) {
    const run = await (await fetch("/evals/state")).json();
    progress.hidden = !run.running;
    progress.value = run.done;
    button.disabled = run.running;
    state.textContent = run.running ? "Asking …" : run.problem;
    if (run.running) {
      await new Promise(resolve => setTimeout(resolve, 250));
      continue;
    }
    const page = new DOMParser().parseFromString(await (await fetch("/evals")).text(), "text/html");
    listed.replaceChildren(...page.getElementById("listed").childNodes);
    return;
  }
}

button?.addEventListener("click", begin);
const begun = await (await fetch("/evals/state")).json();
if (begun.running) watch();
