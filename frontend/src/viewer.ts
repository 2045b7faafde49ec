// The viewer island: panes linked by world position, tools, keys, and edits that come back as numbers.
import { ImagePane, type OverlayStyle, type Plane, type Point, type VolumeEntry } from "./niivue-adapter";

interface Lesion {
  label: number;
  bone: string;
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
  highest?: number | null;
}
interface Score {
  id: string;
  label: string;
  total: { status: string; value?: number };
  statement: string;
  cells: Cell[];
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
  prior: { volumes: VolumeEntry[]; state: ReadingState; links: Link[] } | null;
  state: ReadingState;
}

/** A bone's rigid registration of the prior visit to this one (RAS mm, row by row), largest bone first. */
interface Link {
  bone: string;
  dice: number;
  forward: number[];
  backward: number[];
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
  ["C", "crosshair on or off"],
  ["?", "this list"],
];

const PLANES: Plane[] = ["axial", "coronal", "sagittal"];
const ROLE_NAMES: Record<string, string> = { fluid: "Fluid", t1: "T1" };
const HINTS: Record<Tool, string> = {
  look: "",
  brush: "drag over the fluid image: it adds to the chosen lesion, or begins a new one when none is chosen",
  erase: "drag over the fluid image: it takes away from the chosen lesion",
  grow: "click on a bright spot in marrow: it grows inside its bone down to half of that brightness",
  split: "choose a lesion, then paint the part of it that is a lesion of its own",
};

/** Most columns of a score sheet drawn as a table; more (slices) are drawn as a strip for each row. */
const MOST_COLUMNS = 5;

/** `labels`: this visit's lesions, the prior's, or none. `prior`: an earlier visit's image. */
interface View {
  pane: ImagePane;
  host: HTMLElement;
  title: string;
  labels: boolean;
  prior: boolean;
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
  private crosshair = true;
  private shape: Point = [1, 1, 1];
  private links: Link[] = [];
  private shared: Point = [0, 0, 0];
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
      .map((v) => [v, ROLE_NAMES[v.role] ?? v.role, false]);
    const prior = manifest.prior?.volumes.find((v) => v.role === "fluid");
    if (prior) wanted.splice(1, 0, [prior, "Prior", true]);
    this.links = manifest.prior?.links ?? [];
    const hosts = wanted.map(([, title]) => this.makeHost(title));
    for (const [n, [entry, title, isPrior]] of wanted.entries()) {
      await this.openPane(hosts[n]!, entry, title, isPrior);
      if (n === 0) this.showFirst();
      else if (isPrior) this.paint(manifest.prior!.state, this.views[n]!);
      this.root.dataset["first"] ??= performance.now().toFixed(0);
      await painted();
    }
    this.moveTo(this.shared);
    this.root.dataset["ready"] = "yes";
    this.root.dataset["both"] = performance.now().toFixed(0);
    this.root.dataset["axes"] = String(this.views.every((v) => v.pane.axesAsGiven));
  }

  private showFirst(): void {
    this.paint(this.state);
    this.shared = this.views[0]!.pane.world();
    const first = this.state.lesions.find((l) => l.verdict !== "rejected");
    if (first) this.choose(first.label);
    this.activate(0);
  }

  private makeHost(title: string): HTMLElement {
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
    return host;
  }

  private async openPane(host: HTMLElement, entry: VolumeEntry, title: string, prior: boolean): Promise<void> {
    const pane = await ImagePane.open(host.querySelector("canvas")!, entry, COLOURS);
    const view = { pane, host, title, prior, labels: prior || this.views.length === 0 };
    this.views.push(view);
    this.listenPane(view, host.querySelector<HTMLElement>(".glass")!);
    this.label(view);
  }

  private get panes(): HTMLElement {
    return byId("panes");
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
    if (mm) this.moveTo(this.toShared(view, mm));
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
    if (!voxel) return this.say("that is beside the image; click on a bright spot in marrow", true);
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

  private paint(state: ReadingState, view = this.views[0]): void {
    const pane = view?.pane;
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
    byId("scores").replaceChildren(...state.scores.map((score, n) => this.scoreGrid(score, n === 0)));
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

  private scoreGrid(score: Score, open: boolean): HTMLElement {
    const box = element("details", "score") as HTMLDetailsElement;
    box.dataset["score"] = score.id;
    box.open = byId("scores").querySelector<HTMLDetailsElement>(`[data-score="${CSS.escape(score.id)}"]`)?.open ?? open;
    const heading = element("summary");
    const value = score.total.value;
    const shown = value === undefined ? score.total.status.replaceAll("_", " ") : String(+value.toFixed(2));
    heading.append(text("span", score.label), text("b", shown));
    box.append(heading);
    if (score.statement) box.append(text("p", score.statement));
    if (score.cells.length) box.append(...this.cellSheet(score));
    else box.append(text("p", "no cells"));
    return box;
  }

  /** A score's cells as readers know them: one row a place; columns, or a strip of slices where there are many. */
  private cellSheet(score: Score): HTMLElement[] {
    const rows = new Map<string, [string, Cell][]>();
    for (const cell of score.cells) {
      const [place, column] = placed(cell.id);
      rows.set(place, [...(rows.get(place) ?? []), [column, cell]]);
    }
    const columns = [...new Set([...rows.values()].flat().map(([column]) => column))];
    if (columns.length <= MOST_COLUMNS) return [this.cellTable(score, rows, columns)];
    return [...rows].flatMap(([place, cells]) => {
      const strip = element("div", "strip");
      strip.append(...cells.map(([column, cell]) => this.cellButton(score, cell, column)));
      return [text("p", words(place), "strip-name"), strip];
    });
  }

  private cellTable(score: Score, rows: Map<string, [string, Cell][]>, columns: string[]): HTMLElement {
    const table = element("table", "sheet");
    const head = element("thead");
    const names = element("tr");
    names.append(element("td"), ...columns.map((column) => scoped(text("th", words(column) || "grade"), "col")));
    head.append(names);
    const body = element("tbody");
    for (const [place, cells] of rows) {
      const row = element("tr");
      row.append(scoped(text("th", words(place)), "row"));
      for (const column of columns) {
        const at = element("td");
        const cell = cells.find(([name]) => name === column)?.[1];
        if (cell) at.append(this.cellButton(score, cell));
        row.append(at);
      }
      body.append(row);
    }
    table.append(head, body);
    return table;
  }

  private cellButton(score: Score, cell: Cell, caption = ""): HTMLElement {
    const button = element("button", "cell");
    button.dataset["cell"] = `${score.id}/${cell.id}`;
    if (caption) button.append(text("small", words(caption).replace("slice", "")));
    button.append(cell.value === null ? "–" : String(cell.value));
    button.setAttribute("aria-label", `${words(cell.id)}: ${cell.value ?? "not graded"}`);
    button.classList.toggle("on", (cell.value ?? 0) > 0);
    button.classList.toggle("mine", Boolean(cell.by));
    button.title = `${words(cell.id)}: ${cell.by ? `set by ${cell.by}` : cell.reason || "estimated"}`;
    const highest = cell.highest ?? 0; // none: a volume, which no click sets
    button.toggleAttribute("disabled", highest === 0);
    button.addEventListener("click", () => {
      const next = cell.value === null ? 0 : (cell.value + 1) % (highest + 1);
      void this.send({ kind: "set_cell", target: `${score.id}/${cell.id}`, value: next });
    });
    return button;
  }

  private label(view: View): void {
    const { pane, host } = view;
    const by = this.link ? `registered by ${this.link.bone.replaceAll("_", " ")}` : "by scanner position";
    set(host, ".name", `${view.title} · ${pane.plane}${view.prior ? `\n${by}` : ""}`);
    set(host, ".corner", `${pane.slice + 1} / ${pane.slices}\nwindow ${pane.low.toFixed(0)}–${pane.high.toFixed(0)}`);
    host.dataset["slice"] = String(pane.slice);
    host.dataset["voxel"] = pane.voxel().join(",");
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
    const dx = Math.min(box.width, box.height) / 16; // near the middle: the image may be a thin band of its pane
    const dy = dx;
    const across = difference(view.pane.worldAt(x + dx, y), view.pane.worldAt(x - dx, y));
    const down = difference(view.pane.worldAt(x, y + dy), view.pane.worldAt(x, y - dy));
    set(view.host, ".letter.right", letter(across, 1));
    set(view.host, ".letter.left", letter(across, -1));
    set(view.host, ".letter.down", letter(down, 1));
    set(view.host, ".letter.up", letter(down, -1));
  }

  /** Every pane at one place of this visit's world (RAS mm); the prior's pane where that bone was then. */
  private moveTo(mm: Point): void {
    this.shared = mm;
    this.root.dataset["world"] = mm.map((n) => n.toFixed(3)).join(",");
    for (const view of this.views) {
      view.pane.setWorld(view.prior ? moved(this.link?.backward, mm) : mm);
      this.label(view);
    }
  }

  /** The registration that leads: of the chosen lesion's bone, else of the largest bone. */
  private get link(): Link | undefined {
    const bone = this.state.lesions.find((l) => l.label === this.chosen)?.bone;
    return this.links.find((l) => l.bone === bone) ?? this.links[0];
  }

  private toShared(view: View, mm: Point): Point {
    return view.prior ? moved(this.link?.forward, mm) : mm;
  }

  private scroll(view: View, steps: number): void {
    view.pane.scroll(steps);
    this.moveTo(this.toShared(view, view.pane.world()));
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
    for (const view of this.views) if (view.labels) view.pane.setOverlay(this.overlay);
    this.root.dataset["overlay"] = this.overlay;
    pressed("overlay", this.overlay !== "off");
  }

  private toggleCrosshair(): void {
    this.crosshair = !this.crosshair;
    for (const view of this.views) view.pane.setCrosshair(this.crosshair);
    pressed("crosshair", this.crosshair);
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
    this.say(HINTS[tool]);
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
      next: () => this.nextLesion(1),
      crosshair: () => this.toggleCrosshair(),
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
      c: () => this.toggleCrosshair(),
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

function words(code: string): string {
  return code.replaceAll("_", " ").replaceAll(".", " ");
}

/** Place and column of a cell's id: what follows the last dot is the column. */
function placed(id: string): [string, string] {
  const at = id.lastIndexOf(".");
  return at < 0 ? [id, ""] : [id.slice(0, at), id.slice(at + 1)];
}

function scoped(cell: HTMLElement, scope: string): HTMLElement {
  cell.setAttribute("scope", scope);
  return cell;
}

/** A point moved by a 4x4 (row by row); where there is none, left where it is. */
function moved(matrix: number[] | undefined, [x, y, z]: Point): Point {
  if (!matrix) return [x, y, z];
  const row = (n: number): number => {
    const [a = 0, b = 0, c = 0, d = 0] = matrix.slice(4 * n, 4 * n + 4);
    return a * x + b * y + c * z + d;
  };
  return [row(0), row(1), row(2)];
}

/** After the browser has painted what was drawn so far. */
function painted(): Promise<void> {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

function text(tag: string, content: string, className = ""): HTMLElement {
  const made = element(tag, className);
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
