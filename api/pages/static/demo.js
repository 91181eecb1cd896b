// The demo form: what any front end does with the API, in plain JavaScript.
// Files are sent as soon as they are chosen, so that nobody waits for them at the end.

const page = document.querySelector("#form");
let record = null; // the form and its token, made with the first answer

async function form() {
  record ??= call("POST", "/v1/forms", { type: page.dataset.type, data: {} });
  return record;
}

async function call(method, path, body, headers = {}) {
  if (body !== undefined && !(body instanceof FormData)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  if (record) headers["Authorization"] = `Bearer ${(await record).token}`;
  const answer = await fetch(path, { method, body, headers });
  const content = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(content.detail), content);
  return content;
}

const box = (name) => page.querySelector(`[data-field="${name}"]`);
const say = (name, text) => { box(name).querySelector(".problem").textContent = text; };

function show(upload) {
  const id = `upload-${upload.id}`;
  let line = document.getElementById(id);
  if (["removed", "replaced"].includes(upload.status)) return line?.remove();
  if (!line) {
    line = box(upload.field).querySelector(".uploads").appendChild(document.createElement("li"));
    line.id = id;
  }
  const words = { staged: "received, checking…", processing: "checking…", stored: "stored" };
  line.className = upload.status;
  line.textContent = `${upload.filename}: ${upload.error?.detail ?? words[upload.status]} `;
  const remove = line.appendChild(document.createElement("button"));
  remove.type = "button";
  remove.className = "quiet";
  remove.textContent = "Remove";
  remove.setAttribute("aria-label", `Remove ${upload.filename}`);
  remove.onclick = async () => {
    await call("DELETE", `/v1/uploads/${upload.id}`);
    line.remove();
  };
}

async function send(input, file) {
  const { id } = await form();
  const body = new FormData();
  body.append("file", file);
  let upload = await call("POST", `/v1/forms/${id}/fields/${input.name}/uploads`, body);
  show(upload);
  while (upload.poll_after_ms !== null) {
    upload = await call("GET", `/v1/uploads/${upload.id}`, undefined, { Prefer: "wait=20" });
    show(upload);
  }
  const current = await call("GET", `/v1/forms/${id}`);
  for (const line of box(input.name).querySelectorAll(".uploads li")) {
    if (!current.uploads[input.name].some((each) => line.id === `upload-${each.id}` && each.status !== "replaced")) line.remove();
  }
}

async function save(input) {
  const { id } = await form();
  const value = input.type === "checkbox" ? input.checked : input.value || null;
  const saved = await call("PATCH", `/v1/forms/${id}`, { [input.name]: value });
  say(input.name, saved.problems.find((each) => each.field === input.name)?.detail ?? "");
}

page.addEventListener("change", async ({ target }) => {
  say(target.name, "");
  try {
    if (target.type !== "file") return await save(target);
    const files = [...target.files];
    target.value = "";
    await Promise.all(files.map((file) => send(target, file)));
  } catch (error) {
    say(target.name, error.message);
  }
});

page.addEventListener("submit", async (event) => {
  event.preventDefault();
  const outcome = page.querySelector("#outcome");
  try {
    const { id } = await form();
    const done = await call("POST", `/v1/forms/${id}/submit`, undefined, { Prefer: "wait=20" });
    outcome.textContent = done.complete ? "Thank you. Everything has arrived." : "Thank you. We are still working on your files.";
    page.querySelectorAll("input, select, textarea, button").forEach((each) => { each.disabled = true; });
  } catch (error) {
    outcome.textContent = error.message;
    (error.errors ?? []).forEach((each) => say(each.field, each.detail));
  }
});
