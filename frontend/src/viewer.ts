// The viewer island: panes linked by world position, tools, keys, and edits that come back as numbers.
import { ImagePane, type OverlayStyle, type Plane, type Point, type VolumeEntry } from "./niivue-adapter";

interface Lesion {
  label: number;
  place: string;
  kind: string;
  verdict: string;
  confidence: number;
  volume: string;
  interval: string;
  centroid: Point;
  runs: [number, number][];
}
interface Cell {
  id: string;
  value: number | null;
  reason?: string;
  by?: string;
}
interface Score {
  id: string;
  label: string;
  total: { status: string; value?: number };
  statement: string;
  cells: Cell[];
  grades?: number;
}
interface ReadingState {
  revision: number;
  status: string;
  lesions: Lesion[];
  totals: { code: string; label: string; value: string }[];
  scores: Score[];
}
interface Manifest {
  volumes: VolumeEntry[];
  shape: Point;
  prior: { volumes: VolumeEntry[] } | null;
  state: ReadingState;
}

type Tool = "look" | "brush" | "erase" | "grow" | "split";

/** Okabe and Ito's colours: told apart with every common colour vision. */
const COLOURS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [213, 94, 0],
  [204, 121, 167],
] as const;

const KEYS: [string, string][] = [
  ["↑ ↓, wheel", "slice"],
  ["N / Shift N", "next / previous lesion"],
  ["O", "overlay on or off"],
  ["F", "outline or fill"],
  ["1 2 3", "window: usual, bright, faint"],
  ["right drag, Shift drag", "window by hand"],
  ["V B E G S", "look, brush, eraser, grow, split"],
  ["[ ]", "smaller or larger brush"],
  ["Enter / X", "accept / reject the chosen lesion"],
  ["J", "merge the chosen lesion into another"],
  ["Z", "undo"],
  ["A", "automatic result and back"],
  ["P", "another plane of the active image"],
  ["T", "make the other image active"],
  ["M", "maximise the active image"],
  ["?", "this list"],
];

const PLANES: Plane[] = ["axial", "coronal", "sagittal"];
const ROLE_NAMES: Record<string, string> = { fluid: "Fluid", t1: "T1" };


interface View {
  pane: ImagePane;
  host: HTMLElement;
  title: string;
}

class Viewer {
  private views: View[] = [];
  private active = 0;
  private tool: Tool = "look";
  private overlay: OverlayStyle = "off";
  private fill = false;
  private chosen = 0;
  private merging = false;
  private automatic = false;
  private busy = false;
  private stroke: Set<number> | null = null;
  private shape: Point = [1, 1, 1];
  private state!: ReadingState;

  constructor(private readonly root: HTMLElement) {}

  private get study(): string {
    return this.root.dataset["study"] ?? "";
  }

  async start(): Promise<void> {
    const manifest = (await this.ask(`/api/studies/${this.study}/viewer`)) as Manifest;
    this.shape = manifest.shape;
    this.state = manifest.state;
    this.showState();
    this.showKeys();
    this.listen();
    const wanted: [VolumeEntry, string, boolean][] = manifest.volumes
      .filter((v) => v.role === "fluid" || v.role === "t1")
      .map((v) => [v, ROLE_NAMES[v.role] ?? v.role, v.role === "fluid"]);
    const prior = manifest.prior?.volumes.find((v) => v.role === "fluid");
    if (prior) wanted.splice(1, 0, [prior, "Prior", false]);
    for (const [entry, title, labels] of wanted) {
      await this.addPane(entry, title, labels);
      this.root.dataset["first"] ??= performance.now().toFixed(0);
    }
    this.paint(this.state);
    const first = this.state.lesions[0];
    if (first) this.choose(first.label);
    this.activate(0);
    this.root.dataset["ready"] = "yes";
    this.root.dataset["axes"] = String(this.views.every((v) => v.pane.axesAsGiven));
  }

  private async addPane(entry: VolumeEntry, title: string, labels: boolean): Promise<void> {
    const host = element("div", "pane");
    host.dataset["role"] = title.toLowerCase();
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-label", `${title} image`);
    canvas.setAttribute("role", "img");
    const glass = element("div", "glass");
    glass.tabIndex = 0;
    glass.setAttribute("role", "application");
    glass.setAttribute("aria-label", `${title}: arrow keys change the slice, ? lists all keys`);
    host.append(canvas, glass);
    for (const name of ["name", "corner", "scale", "letter left", "letter right", "letter up", "letter down"]) {
      host.append(element("span", name));
    }
    this.panes.append(host);
    const pane = await ImagePane.open(canvas, entry, labels);
    if (labels) pane.setLabelColours(COLOURS);
    const view = { pane, host, title };
    this.views.push(view);
    this.listenPane(view, glass);
    this.label(view);
  }

  private get panes(): HTMLElement {
    return byId("panes");
  }

  private get main(): ImagePane | null {
    return this.views[0]?.pane ?? null;
  }

  // --- what the pointer does ---------------------------------------------------------------------------------

  private listenPane(view: View, glass: HTMLElement): void {
    glass.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.scroll(view, event.deltaY > 0 ? 1 : -1);
    }, { passive: false });
    glass.addEventListener("contextmenu", (event) => event.preventDefault());
    glass.addEventListener("pointerdown", (event) => this.press(view, glass, event));
    new ResizeObserver(() => {
      view.pane.resize();
      this.label(view);
    }).observe(view.host);
    glass.addEventListener("focus", () => this.activate(this.views.indexOf(view)));
  }

  private press(view: View, glass: HTMLElement, event: PointerEvent): void {
    this.activate(this.views.indexOf(view));
    glass.setPointerCapture(event.pointerId);
    const windowing = event.button === 2 || event.shiftKey;
    const start = { x: event.clientX, y: event.clientY, low: view.pane.low, high: view.pane.high };
    const painting = !windowing && this.tool !== "look" && this.tool !== "grow" && this.views[0] === view;
    if (painting) this.stroke = new Set();
    const act = (e: PointerEvent): void => {
      if (windowing) this.dragWindow(view, start, e);
      else if (painting) this.dab(view, e);
      else if (this.tool === "look" || this.views[0] !== view) this.look(view, e);
    };
    const end = (e: PointerEvent): void => {
      glass.removeEventListener("pointermove", act);
      glass.removeEventListener("pointerup", end);
      glass.removeEventListener("pointercancel", end);
      if (painting) void this.finishStroke();
      else if (!windowing && this.tool === "grow" && this.views[0] === view) void this.grow(view, e);
    };
    glass.addEventListener("pointermove", act);
    glass.addEventListener("pointerup", end);
    glass.addEventListener("pointercancel", end);
    act(event);
  }

  private look(view: View, event: PointerEvent): void {
    const mm = view.pane.worldAt(...inside(view.host, event));
    if (mm) this.moveTo(mm);
  }

  private dragWindow(view: View, start: { x: number; y: number; low: number; high: number }, event: PointerEvent): void {
    const usual = view.pane.entry.windows["usual"] ?? [0, 1];
    const step = (usual[1] - usual[0]) / 400;
    const width = Math.max(step, start.high - start.low + (event.clientX - start.x) * step * 2);
    const centre = (start.high + start.low) / 2 - (event.clientY - start.y) * step;
    view.pane.setWindow(centre - width / 2, centre + width / 2);
    this.label(view);
  }

  private dab(view: View, event: PointerEvent): void {
    const bitmap = view.pane.labels;
    const centre = view.pane.voxelAt(...inside(view.host, event));
    if (!bitmap || !centre || !this.stroke) return;
    this.showOverlay();
    const radius = Number((byId("brush-size") as HTMLInputElement).value) / 2;
    const erase = this.tool === "erase";
    const value = erase ? 0 : this.paintValue();
    for (const index of this.disc(view.pane, centre, radius)) {
      const now = bitmap[index] ?? 0;
      const hit = erase ? now !== 0 && (!this.chosen || now === this.valueOf(this.chosen)) : this.tool === "split" ? now === this.valueOf(this.chosen) : now === 0;
      if (!hit) continue;
      bitmap[index] = value;
      this.stroke.add(index);
    }
    view.pane.refreshLabels();
  }

  private *disc(pane: ImagePane, centre: Point, radiusMm: number): Generator<number> {
    const [nx, ny] = this.shape;
    const axis = pane.sliceAxis;
    const [u, v] = [0, 1, 2].filter((a) => a !== axis) as [number, number];
    const [su, sv] = [pane.entry.spacing[u] ?? 1, pane.entry.spacing[v] ?? 1];
    const [ru, rv] = [Math.ceil(radiusMm / su), Math.ceil(radiusMm / sv)];
    for (let a = -ru; a <= ru; a += 1) {
      for (let b = -rv; b <= rv; b += 1) {
        if ((a * su) ** 2 + (b * sv) ** 2 > radiusMm ** 2) continue;
        const at: Point = [...centre];
        at[u] = (at[u] ?? 0) + a;
        at[v] = (at[v] ?? 0) + b;
        if (at.some((n, k) => n < 0 || n >= (this.shape[k] ?? 0))) continue;
        yield at[0] + nx * (at[1] + ny * at[2]);
      }
    }
  }

  private paintValue(): number {
    if (this.tool === "split" || !this.chosen) return ((this.state.lesions.length) % 254) + 1;
    return this.valueOf(this.chosen);
  }

  private valueOf(label: number): number {
    const at = this.state.lesions.findIndex((lesion) => lesion.label === label);
    return at < 0 ? 0 : (at % 254) + 1;
  }

  private async finishStroke(): Promise<void> {
    const indices = [...(this.stroke ?? [])].sort((a, b) => a - b);
    this.stroke = null;
    if (!indices.length) return;
    if (this.tool === "split" && !this.chosen) return this.say("choose the lesion to split first", true);
    const kind = { brush: "add_voxels", erase: "remove_voxels", split: "split" }[this.tool as "brush" | "erase" | "split"];
    await this.send({ kind, label: this.chosen, runs: runsOf(indices) });
  }

  private async grow(view: View, event: PointerEvent): Promise<void> {
    const voxel = view.pane.voxelAt(...inside(view.host, event));
    if (!voxel) return;
    this.showOverlay();
    await this.send({ kind: "grow", label: 0, voxel });
  }

  // --- edits ---------------------------------------------------------------------------------------------------

  private async send(change: Record<string, unknown>): Promise<void> {
    await this.post("edits", { request: requestName(), ...change });
  }

  private async post(what: string, body: Record<string, unknown>): Promise<void> {
    if (this.busy) return this.say("one moment: the last edit is being worked out", true);
    if (this.automatic) return this.say("this is the automatic result; press A to go back to your reading", true);
    this.busy = true;
    this.say("working it out…");
    const began = performance.now();
    try {
      this.state = (await this.ask(`/api/studies/${this.study}/${what}`, body)) as ReadingState;
      this.say(`version ${this.state.revision}, ${((performance.now() - began) / 1000).toFixed(2)} s`);
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), true);
    } finally {
      this.busy = false;
      this.showState();
      this.paint(this.state);
    }
  }

  private async ask(url: string, body?: Record<string, unknown>): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    const init: RequestInit = body ? { method: "POST", body: JSON.stringify(body), headers } : {};
    const response = await fetch(url, init);
    const data = (await response.json()) as Record<string, string>;
    if (!response.ok) throw new Error([data["found"], data["do"] || data["expected"]].filter(Boolean).join("; "));
    return data;
  }

  private say(text: string, bad = false): void {
    const message = byId("message");
    message.textContent = text;
    message.classList.toggle("bad", bad);
  }

  private verdict(kind: string): void {
    if (!this.chosen) return this.say("choose a lesion first", true);
    if (kind === "merge") {
      this.merging = true;
      return this.say("choose the lesion to merge it into");
    }
    void this.send({ kind, label: this.chosen });
  }

  // --- what is shown -------------------------------------------------------------------------------------------

  private paint(state: ReadingState): void {
    const pane = this.main;
    const bitmap = pane?.labels;
    if (!pane || !bitmap) return;
    bitmap.fill(0);
    state.lesions.forEach((lesion, n) => {
      if (lesion.verdict === "rejected") return;
      for (const [start, length] of lesion.runs) bitmap.fill((n % 254) + 1, start, start + length);
    });
    pane.refreshLabels();
  }

  private showState(state = this.state): void {
    byId("revision").textContent = String(state.revision);
    byId("status").textContent = state.status;
    byId("lesions").replaceChildren(...state.lesions.map((lesion, n) => this.lesionRow(lesion, n)));
    byId("lesion-actions").hidden = !state.lesions.length;
    byId("totals").replaceChildren(...state.totals.flatMap((t) => [text("dt", t.label), text("dd", t.value)]));
    byId("scores").replaceChildren(...state.scores.map((score) => this.scoreGrid(score)));
    if (!state.lesions.some((lesion) => lesion.label === this.chosen)) this.chosen = 0;
  }

  private lesionRow(lesion: Lesion, n: number): HTMLElement {
    const button = element("button");
    button.dataset["label"] = String(lesion.label);
    button.classList.toggle("rejected", lesion.verdict === "rejected");
    button.setAttribute("aria-pressed", String(lesion.label === this.chosen));
    const dot = element("span", "dot");
    const [r, g, b] = COLOURS[n % COLOURS.length] ?? COLOURS[0];
    dot.style.backgroundColor = `rgb(${r},${g},${b})`;
    const sure = lesion.verdict === "automatic" ? `confidence ${(100 * lesion.confidence).toFixed(0)} %` : lesion.verdict;
    button.append(dot, text("span", `${lesion.label} ${lesion.place}`), text("span", lesion.volume), text("small", `${lesion.kind}, ${sure}`));
    button.addEventListener("click", () => this.click(lesion.label));
    const item = element("li");
    item.append(button);
    return item;
  }

  private click(label: number): void {
    if (this.merging && this.chosen && label !== this.chosen) {
      this.merging = false;
      void this.send({ kind: "merge", label, others: [this.chosen] });
      this.chosen = label;
      return;
    }
    this.merging = false;
    if (label === this.chosen) this.unchoose();
    else this.choose(label);
  }

  private unchoose(): void {
    this.chosen = 0;
    this.markChosen();
    this.say("no lesion chosen: the brush begins a new one");
  }

  private choose(label: number): void {
    this.chosen = label;
    this.markChosen();
    const lesion = this.state.lesions.find((l) => l.label === label);
    if (lesion) this.moveTo(lesion.centroid);
  }

  private markChosen(): void {
    for (const button of byId("lesions").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset["label"]) === this.chosen));
    }
  }

  private scoreGrid(score: Score): HTMLElement {
    const box = element("div", "score");
    const heading = text("h3", score.label);
    const value = score.total.value;
    heading.append(text("b", value === undefined ? score.total.status.replaceAll("_", " ") : String(+value.toFixed(2))));
    const grid = element("div", "cells");
    for (const cell of score.cells) grid.append(this.cellButton(score, cell));
    box.append(heading);
    if (score.statement) box.append(text("p", score.statement));
    box.append(grid);
    return box;
  }

  private cellButton(score: Score, cell: Cell): HTMLElement {
    const button = text("button", cell.id.replaceAll("_", " ").replaceAll(".", " "));
    button.append(text("b", cell.value === null ? "–" : String(cell.value)));
    button.classList.toggle("on", (cell.value ?? 0) > 0);
    button.classList.toggle("mine", Boolean(cell.by));
    button.title = cell.by ? `set by ${cell.by}` : cell.reason || "estimated";
    const grades = score.grades ?? 1;
    button.addEventListener("click", () => {
      const next = cell.value === null ? 0 : (cell.value + 1) % (grades + 1);
      void this.send({ kind: "set_cell", target: `${score.id}/${cell.id}`, value: next });
    });
    return button;
  }

  private label(view: View): void {
    const { pane, host } = view;
    set(host, ".name", `${view.title} · ${pane.plane}`);
    set(host, ".corner", `${pane.slice + 1} / ${pane.slices}\nwindow ${pane.low.toFixed(0)}–${pane.high.toFixed(0)}`);
    host.dataset["slice"] = String(pane.slice);
    host.dataset["window"] = `${pane.low},${pane.high}`;
    const box = pane.extent();
    if (!box) return;
    this.letters(view, box);
    const scale = host.querySelector<HTMLElement>(".scale");
    const mm = box.widthMm > 120 ? 50 : box.widthMm > 40 ? 20 : 10;
    if (!scale) return;
    scale.style.width = `${(mm * box.width) / box.widthMm}px`;
    scale.textContent = `${mm} mm`;
  }

  /** Letters from the picture's own geometry: which way the patient runs between two points of the pane. */
  private letters(view: View, box: { left: number; top: number; width: number; height: number }): void {
    const x = box.left + box.width / 2;
    const y = box.top + box.height / 2;
    const [dx, dy] = [box.width / 4, box.height / 4];
    const across = difference(view.pane.worldAt(x + dx, y), view.pane.worldAt(x - dx, y));
    const down = difference(view.pane.worldAt(x, y + dy), view.pane.worldAt(x, y - dy));
    set(view.host, ".letter.right", letter(across, 1));
    set(view.host, ".letter.left", letter(across, -1));
    set(view.host, ".letter.down", letter(down, 1));
    set(view.host, ".letter.up", letter(down, -1));
  }

  private moveTo(mm: Point): void {
    this.root.dataset["world"] = mm.map((n) => n.toFixed(3)).join(",");
    for (const view of this.views) {
      view.pane.setWorld(mm);
      this.label(view);
    }
  }

  private scroll(view: View, steps: number): void {
    view.pane.scroll(steps);
    this.moveTo(view.pane.world());
  }

  private activate(index: number): void {
    this.active = index;
    this.views.forEach((view, n) => view.host.classList.toggle("main", n === index));
  }

  private showOverlay(): void {
    if (this.overlay === "off") this.toggleOverlay();
  }

  private toggleOverlay(): void {
    this.overlay = this.overlay === "off" ? (this.fill ? "fill" : "outline") : "off";
    this.main?.setOverlay(this.overlay);
    this.root.dataset["overlay"] = this.overlay;
    pressed("overlay", this.overlay !== "off");
  }

  private toggleFill(): void {
    this.fill = !this.fill;
    pressed("fill", this.fill);
    if (this.overlay !== "off") {
      this.overlay = "off";
      this.toggleOverlay();
    }
  }

  private nextLesion(step: number): void {
    const labels = this.state.lesions.filter((l) => l.verdict !== "rejected").map((l) => l.label);
    if (!labels.length) return this.say("no lesion");
    const at = labels.indexOf(this.chosen);
    const next = labels[(at + step + labels.length) % labels.length];
    if (next !== undefined) this.choose(next);
  }

  private preset(name: string): void {
    for (const view of this.views) {
      const pair = view.pane.entry.windows[name];
      if (pair) view.pane.setWindow(pair[0], pair[1]);
      this.label(view);
    }
    (byId("window") as HTMLSelectElement).value = name;
  }

  private nextPlane(): void {
    const view = this.views[this.active];
    if (!view) return;
    view.pane.setPlane(PLANES[(PLANES.indexOf(view.pane.plane) + 1) % 3] ?? "axial");
    this.label(view);
  }

  private maximise(): void {
    const on = this.panes.classList.toggle("maximised");
    pressed("maximise", on);
  }

  private async showAutomatic(): Promise<void> {
    this.automatic = !this.automatic;
    pressed("automatic", this.automatic);
    const shown = this.automatic ? ((await this.ask(`/api/studies/${this.study}/state?revision=1`)) as ReadingState) : this.state;
    this.showState(shown);
    this.paint(shown);
    this.say(this.automatic ? "the automatic result; press A to go back" : "");
  }

  // --- keys and buttons ------------------------------------------------------------------------------------------

  private setTool(tool: Tool): void {
    this.tool = tool;
    for (const button of this.root.querySelectorAll<HTMLElement>("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset["tool"] === tool));
    }
  }

  private listen(): void {
    this.root.addEventListener("click", (event) => {
      const data = (event.target as HTMLElement).closest<HTMLElement>("button")?.dataset;
      if (data?.["tool"]) this.setTool(data["tool"] as Tool);
      else if (data?.["act"]) this.act(data["act"]);
      else if (data?.["verdict"]) this.verdict(data["verdict"]);
    });
    byId("window").addEventListener("change", (event) => this.preset((event.target as HTMLSelectElement).value));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  private act(name: string): void {
    const acts: Record<string, () => void> = {
      overlay: () => this.toggleOverlay(),
      fill: () => this.toggleFill(),
      plane: () => this.nextPlane(),
      maximise: () => this.maximise(),
      undo: () => void this.post("undo", { request: requestName() }),
      automatic: () => void this.showAutomatic(),
      help: () => (byId("help") as HTMLDialogElement).showModal(),
    };
    acts[name]?.();
  }

  private key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    const typing = target instanceof HTMLInputElement && target.type !== "range";
    if (typing || target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    const onButton = target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ");
    const run = onButton ? undefined : this.keyActions(event)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }

  private keyActions(event: KeyboardEvent): Record<string, () => void> {
    const view = this.views[this.active];
    const size = byId("brush-size") as HTMLInputElement;
    return {
      ArrowUp: () => view && this.scroll(view, -1),
      ArrowDown: () => view && this.scroll(view, 1),
      n: () => this.nextLesion(event.shiftKey ? -1 : 1),
      o: () => this.toggleOverlay(),
      f: () => this.toggleFill(),
      "1": () => this.preset("usual"),
      "2": () => this.preset("bright"),
      "3": () => this.preset("faint"),
      v: () => this.setTool("look"),
      b: () => this.setTool("brush"),
      e: () => this.setTool("erase"),
      g: () => this.setTool("grow"),
      s: () => this.setTool("split"),
      "[": () => (size.value = String(Number(size.value) - 1)),
      "]": () => (size.value = String(Number(size.value) + 1)),
      Enter: () => this.verdict("accept"),
      x: () => this.verdict("reject"),
      j: () => this.verdict("merge"),
      z: () => this.act("undo"),
      a: () => this.act("automatic"),
      p: () => this.nextPlane(),
      t: () => this.activate((this.active + 1) % Math.max(1, this.views.length)),
      m: () => this.maximise(),
      "?": () => this.act("help"),
    };
  }

  private showKeys(): void {
    byId("keys").replaceChildren(...KEYS.flatMap(([keys, what]) => [text("dt", keys), text("dd", what)]));
  }
}

// --- small helpers -------------------------------------------------------------------------------------------------

function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

function element(tag: string, className = ""): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  return made;
}

function text(tag: string, content: string): HTMLElement {
  const made = element(tag);
  made.textContent = content;
  return made;
}

function set(host: HTMLElement, selector: string, content: string): void {
  const found = host.querySelector(selector);
  if (found) found.textContent = content;
}

function pressed(act: string, on: boolean): void {
  document.querySelector(`[data-act="${act}"]`)?.setAttribute("aria-pressed", String(on));
}

function inside(host: HTMLElement, event: PointerEvent): [number, number] {
  const box = host.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function difference(a: Point | null, b: Point | null): Point | null {
  return a && b ? [a[0] - b[0], a[1] - b[1], a[2] - b[2]] : null;
}

/** The patient direction a RAS vector (times sign) points to most. */
function letter(vector: Point | null, sign: number): string {
  if (!vector) return "";
  const sizes = vector.map(Math.abs);
  const axis = sizes.indexOf(Math.max(...sizes));
  const pair = ["LR", "PA", "IS"][axis] ?? "  ";
  return pair[(vector[axis] ?? 0) * sign > 0 ? 1 : 0] ?? "";
}

function runsOf(indices: number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const index of indices) {
    const last = runs[runs.length - 1];
    if (last && last[0] + last[1] === index) last[1] += 1;
    else runs.push([index, 1]);
  }
  return runs;
}

function requestName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");
}

const root = document.getElementById("viewer");
if (root) {
  new Viewer(root).start().catch((error: unknown) => {
    byId("message").textContent = error instanceof Error ? error.message : String(error);
  });
}
