// The page of documents: files added, replaced and removed, and how far the index has come.

const listed = document.getElementById("listed");
const state = document.getElementById("state");
const progress = document.getElementById("progress");

async function add(file, name, replace) {
  const path = encodeURIComponent(name ?? file.name);
  const answer = await fetch(`/corpus/${path}${replace ? "?replace=true" : ""}`, {method: "PUT", body: file});
  return answer.ok ? "" : `${file.name}: ${await reason(answer)}`;
}

async function reason(answer) {
  const problem = await answer.json().catch(() => ({}));
  return typeof problem.detail === "string" ? problem.detail : answer.statusText;
}

async function addAll(files) {
  const problems = [];
  for (const file of files) {
    state.textContent = `Adding ${file.name}`;
    problems.push(await add(file, null, false));
  }
  await watch(problems.filter(Boolean).join("\n"));
}

async function send(method, path) {
  const answer = await fetch(path, {method});
  await watch(answer.ok ? "" : await reason(answer));
}

// Show the rebuild until it ends, then what the index holds.
async function watch(problem) {
  for (;;) {
    const rebuild = await (await fetch("/rebuild")).json();
    progress.hidden = !rebuild.running;
    progress.value = rebuild.done;
    if (rebuild.running) {
      state.textContent = `Indexing ${rebuild.document}`;
      await new Promise(resolve => setTimeout(resolve, 250));
      continue;
    }
    const done = rebuild.generation && !problem ? `Generation ${rebuild.generation} is in use` : "";
    state.textContent = [problem, rebuild.problem || done].filter(Boolean).join("\n");
    const page = new DOMParser().parseFromString(await (await fetch("/library")).text(), "text/html");
    listed.replaceChildren(...page.getElementById("listed").childNodes);
    return;
  }
}

document.addEventListener("change", event => {
  const input = event.target;
  if (input.id === "files") addAll([...input.files]);
  else if (input.dataset.name) add(input.files[0], input.dataset.name, true).then(watch);
});

document.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (button?.id === "rebuild") send("PUT", "/rebuild");
  else if (button?.id === "full") send("PUT", "/rebuild?full=true");
  else if (button?.matches(".remove")) {
    const name = button.dataset.name;
    if (confirm(`Delete ${name} from the folder of documents?`))
      send("DELETE", `/corpus/${encodeURIComponent(name)}`);
  }
});

const drop = document.getElementById("drop");
for (const kind of ["dragover", "drop"])
  document.addEventListener(kind, event => {
    event.preventDefault();
    drop?.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && drop) addAll([...event.dataTransfer.files]);
  });

const begun = await (await fetch("/rebuild")).json();
if (begun.running) watch("");
