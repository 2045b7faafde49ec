// Helpers of the plain pages: dropping a study, the intake's filter, the cohort table's keys. All work without it.

// --- dropping a study ------------------------------------------------------------------------------------------

const form = document.querySelector<HTMLFormElement>("#upload");
if (form) upload(form);

function upload(form: HTMLFormElement): void {
  const drop = form.querySelector<HTMLElement>("#drop");
  for (const id of ["files", "folder"]) {
    const input = form.querySelector<HTMLInputElement>(`#${id}`);
    input?.addEventListener("change", () => input.files && send(form, [...input.files]));
  }
  drop?.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop?.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop?.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    void dropped(event.dataTransfer).then((files) => send(form, files));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
}

async function dropped(transfer: DataTransfer | null): Promise<File[]> {
  const entries = [...(transfer?.items ?? [])].map((item) => item.webkitGetAsEntry()).filter((e) => e !== null);
  const lists = await Promise.all(entries.map((entry) => filesOf(entry)));
  return lists.flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    return [await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  for (;;) {
    const part = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (!part.length) return found;
    for (const child of part) found.push(...(await filesOf(child)));
  }
}

function send(form: HTMLFormElement, files: File[]): void {
  const state = document.getElementById("upload-state");
  if (!state || !files.length) return;
  const data = new FormData();
  for (const name of ["label", "site", "side"]) data.append(name, String(new FormData(form).get(name) ?? ""));
  const bones = form.querySelector<HTMLInputElement>("#bones");
  for (const file of bones?.files ?? []) data.append("bones", file, file.name);
  for (const file of files) data.append("files", file, file.name);
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.responseType = "json";
  request.upload.onprogress = (event) => {
    if (event.lengthComputable) state.textContent = `${((100 * event.loaded) / event.total).toFixed(0)} % of ${files.length} files`;
  };
  request.onload = () => {
    const answer = request.response as Record<string, string> | null;
    if (request.status === 201 && answer?.["url"]) location.assign(answer["url"]);
    else state.textContent = [answer?.["found"] ?? "the upload failed", answer?.["do"]].filter(Boolean).join("; ");
  };
  request.onerror = () => (state.textContent = "the server ended the upload: too large, or it stopped");
  request.send(data);
}

// --- the intake ------------------------------------------------------------------------------------------------

const find = document.querySelector<HTMLInputElement>("[data-filter]");
find?.addEventListener("input", () => filter(find));
find?.addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault();
});
find?.addEventListener("change", (event) => event.stopPropagation());

function filter(input: HTMLInputElement): void {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll<HTMLDetailsElement>("[data-section]")) {
    let hits = 0;
    for (const item of section.querySelectorAll<HTMLElement>("[data-words]")) {
      const hit = words.every((word) => item.dataset["words"]?.includes(word));
      item.hidden = !hit;
      hits += Number(hit);
    }
    section.hidden = !hits;
    section.open = words.length > 0 && hits > 0;
  }
}

document.addEventListener("change", (event) => {
  if (!(event.target instanceof HTMLSelectElement) || event.target.name !== "site") return;
  for (const set of document.querySelectorAll<HTMLElement>("[data-site]")) {
    set.hidden = set.dataset["site"] !== event.target.value;
  }
});

document.addEventListener("click", (event) => {
  const button = (event.target as HTMLElement).closest<HTMLElement>("[data-field]");
  const field = button && document.getElementById(`i-${button.dataset["field"]}`);
  if (!(field instanceof HTMLSelectElement || field instanceof HTMLInputElement)) return;
  field.value = button?.dataset["value"] ?? "";
  field.dispatchEvent(new Event("change", { bubbles: true }));
});

document.addEventListener("click", (event) => {
  const button = (event.target as HTMLElement).closest<HTMLElement>("[data-answer]");
  if (!button) return;
  const name = `f.${button.dataset["answer"]}`;
  const radio = document.querySelector<HTMLInputElement>(`input[name="${CSS.escape(name)}"][value="${button.dataset["value"]}"]`);
  if (!radio) return;
  radio.checked = true;
  radio.dispatchEvent(new Event("change", { bubbles: true }));
});

// --- a page inside a page: as tall as it is, so that only the outer one scrolls ---------------------------------

for (const frame of document.querySelectorAll<HTMLIFrameElement>("iframe[data-grow]")) {
  const grow = (): void => {
    frame.style.height = "0"; // else it would measure itself
    const inside: Element | null | undefined = frame.contentDocument?.documentElement; // null until it is parsed
    frame.style.height = `${(inside?.scrollHeight ?? 600) + 4}px`;
  };
  frame.addEventListener("load", grow);
  window.addEventListener("resize", grow);
  grow();
}

// --- tabs on a small screen ------------------------------------------------------------------------------------

document.querySelector(".tab-row [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// --- what takes a while says so --------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  const busy = button?.dataset["busy"];
  if (!button || !busy) return;
  const words = button.textContent;
  button.textContent = busy;
  window.addEventListener("pageshow", () => (button.textContent = words), { once: true });
});

// --- copying ---------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const button = (event.target as HTMLElement).closest<HTMLElement>("[data-copy]");
  const text = button?.dataset["copy"];
  if (!button || !text) return;
  void navigator.clipboard.writeText(text).then(
    () => (button.textContent = "Copied"),
    () => (button.textContent = "The browser does not let this page copy"),
  );
});

// --- printing --------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  if ((event.target as HTMLElement).closest("[data-print]")) window.print();
});

// --- the cohort table ------------------------------------------------------------------------------------------

const VERDICT_KEYS: Record<string, string> = { g: "good", a: "artefact", f: "fail", u: "" };

document.addEventListener("keydown", (event) => {
  const row = document.activeElement?.closest<HTMLElement>("tr[data-key]");
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (step) {
    event.preventDefault();
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    if (next instanceof HTMLElement) next.focus();
    return;
  }
  const verdict = VERDICT_KEYS[event.key.toLowerCase()];
  if (verdict !== undefined) void judge(row, verdict);
});

async function judge(row: HTMLElement, verdict: string): Promise<void> {
  const body = JSON.stringify({ key: row.dataset["key"], verdict });
  const response = await fetch("/api/verdicts", { method: "POST", body, headers: { "content-type": "application/json" } });
  const cell = row.querySelector<HTMLElement>("[data-verdict]");
  if (!cell) return;
  cell.textContent = response.ok ? verdict : "not kept";
  cell.className = `tag ${verdict}`;
}

document.addEventListener("click", (event) => {
  const button = (event.target as HTMLElement).closest<HTMLElement>("[data-sort]");
  const table = button?.closest("table");
  if (!button || !table) return;
  const column = Number(button.dataset["sort"]);
  const header = button.closest("th");
  const down = header?.getAttribute("aria-sort") === "ascending";
  for (const th of table.querySelectorAll("th")) th.removeAttribute("aria-sort");
  header?.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0]!.rows];
  rows.sort((a, b) => compare(a.cells[column], b.cells[column]) * (down ? -1 : 1));
  table.tBodies[0]!.append(...rows);
});

function compare(a?: HTMLElement, b?: HTMLElement): number {
  const [x, y] = [a?.dataset["value"] ?? a?.textContent ?? "", b?.dataset["value"] ?? b?.textContent ?? ""];
  const [m, n] = [Number.parseFloat(x), Number.parseFloat(y)];
  if (Number.isNaN(m) !== Number.isNaN(n)) return Number.isNaN(m) ? 1 : -1;
  return Number.isNaN(m) ? x.localeCompare(y) : m - n;
}
