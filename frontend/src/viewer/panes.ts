// The panes: volumes side by side, linked by position in the patient, each with its words, letters and scale.
import { ImagePane, type Plane, type Point, type VolumeEntry } from "../niivue-adapter";
import { COLOURS } from "./colours";
import { byId, element, inside, pressed, set } from "./dom";
import { difference, letter, moved } from "./geometry";
import type { Reading } from "./reading";
import type { Link } from "./types";

const PLANES: Plane[] = ["axial", "coronal", "sagittal"];

/** `labels`: this visit's lesions, the prior's, or none. `prior`: an earlier visit's image. */
export interface View {
  pane: ImagePane;
  host: HTMLElement;
  glass: HTMLElement;
  title: string;
  labels: boolean;
  prior: boolean;
}

export class Panes {
  readonly views: View[] = [];
  /** The prior's registrations, largest bone first. */
  links: Link[] = [];
  /** Where every pane is: this visit's world (RAS mm). */
  shared: Point = [0, 0, 0];
  private active = 0;
  private crosshair = true;

  constructor(private readonly root: HTMLElement, private readonly reading: Reading) {}

  get activeView(): View | undefined {
    return this.views[this.active];
  }

  makeHost(title: string): HTMLElement {
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
    byId("panes").append(host);
    return host;
  }

  async open(host: HTMLElement, entry: VolumeEntry, title: string, prior: boolean): Promise<View> {
    const pane = await ImagePane.open(host.querySelector("canvas")!, entry, COLOURS);
    const glass = host.querySelector<HTMLElement>(".glass")!;
    const view = { pane, host, glass, title, prior, labels: prior || this.views.length === 0 };
    this.views.push(view);
    this.listen(view);
    this.label(view);
    return view;
  }

  private listen(view: View): void {
    view.glass.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.scroll(view, event.deltaY > 0 ? 1 : -1);
    }, { passive: false });
    view.glass.addEventListener("contextmenu", (event) => event.preventDefault());
    new ResizeObserver(() => {
      view.pane.resize();
      this.label(view);
    }).observe(view.host);
    view.glass.addEventListener("focus", () => this.activate(this.views.indexOf(view)));
  }

  // --- where the panes are -------------------------------------------------------------------------------------

  /** Every pane at one place of this visit's world (RAS mm); the prior's pane where that bone was then. */
  moveTo(mm: Point): void {
    this.shared = mm;
    this.root.dataset["world"] = mm.map((n) => n.toFixed(3)).join(",");
    for (const view of this.views) {
      view.pane.setWorld(view.prior ? moved(this.link?.backward, mm) : mm);
      this.label(view);
    }
  }

  /** Every pane where the pointer is in one of them. */
  look(view: View, event: PointerEvent): void {
    const mm = view.pane.worldAt(...inside(view.host, event));
    if (mm) this.moveTo(this.toShared(view, mm));
  }

  scroll(view: View, steps: number): void {
    view.pane.scroll(steps);
    this.moveTo(this.toShared(view, view.pane.world()));
  }

  /** The registration that leads: of the chosen lesion's bone, else of the largest bone. */
  private get link(): Link | undefined {
    const bone = this.reading.lesion?.bone;
    return this.links.find((l) => l.bone === bone) ?? this.links[0];
  }

  private toShared(view: View, mm: Point): Point {
    return view.prior ? moved(this.link?.forward, mm) : mm;
  }

  // --- how they look -------------------------------------------------------------------------------------------

  activate(index: number): void {
    this.active = index;
    this.views.forEach((view, n) => view.host.classList.toggle("main", n === index));
  }

  activateNext(): void {
    this.activate((this.active + 1) % Math.max(1, this.views.length));
  }

  nextPlane(): void {
    const view = this.activeView;
    if (!view) return;
    view.pane.setPlane(PLANES[(PLANES.indexOf(view.pane.plane) + 1) % 3] ?? "axial");
    this.label(view);
  }

  maximise(): void {
    const on = byId("panes").classList.toggle("maximised");
    pressed("maximise", on);
  }

  toggleCrosshair(): void {
    this.crosshair = !this.crosshair;
    for (const view of this.views) view.pane.setCrosshair(this.crosshair);
    pressed("crosshair", this.crosshair);
  }

  /** The window of a name, in every pane whose volume has it. */
  preset(name: string): void {
    for (const view of this.views) {
      const pair = view.pane.entry.windows[name];
      if (pair) view.pane.setWindow(pair[0], pair[1]);
      this.label(view);
    }
    (byId("window") as HTMLSelectElement).value = name;
  }

  label(view: View): void {
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
}
