// What the pointer does on an image: look, window, paint, erase, split, grow.
import { byId, inside, say } from "./dom";
import { disc, runsOf } from "./geometry";
import { bitmapValue, type Overlay } from "./overlay";
import type { Panes, View } from "./panes";
import type { Reading } from "./reading";

export type Tool = "look" | "brush" | "erase" | "grow" | "split";

const HINTS: Record<Tool, string> = {
  look: "",
  brush: "drag over the fluid image: it adds to the chosen lesion, or begins a new one when none is chosen",
  erase: "drag over the fluid image: it takes away from the chosen lesion",
  grow: "click on a bright spot in marrow: it grows inside its bone down to half of that brightness",
  split: "choose a lesion, then paint the part of it that is a lesion of its own",
};

interface Start {
  x: number;
  y: number;
  low: number;
  high: number;
}

export class Tools {
  private tool: Tool = "look";
  /** Voxels of the stroke being drawn. */
  private stroke: Set<number> | null = null;

  constructor(
    private readonly root: HTMLElement,
    private readonly reading: Reading,
    private readonly panes: Panes,
    private readonly overlay: Overlay,
  ) {}

  listen(view: View): void {
    view.glass.addEventListener("pointerdown", (event) => this.press(view, view.glass, event));
  }

  setTool(tool: Tool): void {
    this.tool = tool;
    for (const button of this.root.querySelectorAll<HTMLElement>("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset["tool"] === tool));
    }
    say(HINTS[tool]);
  }

  resizeBrush(by: number): void {
    const size = byId("brush-size") as HTMLInputElement;
    size.value = String(Number(size.value) + by);
  }

  private press(view: View, glass: HTMLElement, event: PointerEvent): void {
    this.panes.activate(this.panes.views.indexOf(view));
    glass.setPointerCapture(event.pointerId);
    const windowing = event.button === 2 || event.shiftKey;
    const start = { x: event.clientX, y: event.clientY, low: view.pane.low, high: view.pane.high };
    const own = this.panes.views[0] === view;
    const painting = !windowing && this.tool !== "look" && this.tool !== "grow" && own;
    if (painting) this.stroke = new Set();
    const act = (e: PointerEvent): void => {
      if (windowing) this.dragWindow(view, start, e);
      else if (painting) this.dab(view, e);
      else if (this.tool === "look" || !own) this.panes.look(view, e);
    };
    const end = (e: PointerEvent): void => {
      glass.removeEventListener("pointermove", act);
      glass.removeEventListener("pointerup", end);
      glass.removeEventListener("pointercancel", end);
      if (painting) void this.finishStroke();
      else if (!windowing && this.tool === "grow" && own) void this.grow(view, e);
    };
    glass.addEventListener("pointermove", act);
    glass.addEventListener("pointerup", end);
    glass.addEventListener("pointercancel", end);
    act(event);
  }

  private dragWindow(view: View, start: Start, event: PointerEvent): void {
    const usual = view.pane.entry.windows["usual"] ?? [0, 1];
    const step = (usual[1] - usual[0]) / 400;
    const width = Math.max(step, start.high - start.low + (event.clientX - start.x) * step * 2);
    const centre = (start.high + start.low) / 2 - (event.clientY - start.y) * step;
    view.pane.setWindow(centre - width / 2, centre + width / 2);
    this.panes.label(view);
  }

  private dab(view: View, event: PointerEvent): void {
    const bitmap = view.pane.labels;
    const centre = view.pane.voxelAt(...inside(view.host, event));
    if (!bitmap || !centre || !this.stroke) return;
    this.overlay.show();
    const radius = Number((byId("brush-size") as HTMLInputElement).value) / 2;
    const value = this.tool === "erase" ? 0 : this.paintValue();
    for (const index of disc(view.pane, this.reading.shape, centre, radius)) {
      if (!this.hits(bitmap[index] ?? 0)) continue;
      bitmap[index] = value;
      this.stroke.add(index);
    }
    view.pane.refreshLabels();
  }

  /** Whether the tool changes a voxel that has this value now. */
  private hits(now: number): boolean {
    const chosen = this.reading.chosen;
    if (this.tool === "erase") return now !== 0 && (!chosen || now === this.valueOf(chosen));
    return this.tool === "split" ? now === this.valueOf(chosen) : now === 0;
  }

  private paintValue(): number {
    if (this.tool === "split" || !this.reading.chosen) return bitmapValue(this.reading.state.lesions.length);
    return this.valueOf(this.reading.chosen);
  }

  private valueOf(label: number): number {
    const at = this.reading.state.lesions.findIndex((lesion) => lesion.label === label);
    return at < 0 ? 0 : bitmapValue(at);
  }

  private async finishStroke(): Promise<void> {
    const indices = [...(this.stroke ?? [])].sort((a, b) => a - b);
    this.stroke = null;
    if (!indices.length) return;
    const label = this.reading.chosen;
    if (this.tool === "split" && !label) return say("choose the lesion to split first", true);
    const kind = { brush: "add_voxels", erase: "remove_voxels", split: "split" }[this.tool as "brush" | "erase" | "split"];
    await this.reading.send({ kind, label, runs: runsOf(indices) });
  }

  private async grow(view: View, event: PointerEvent): Promise<void> {
    const voxel = view.pane.voxelAt(...inside(view.host, event));
    if (!voxel) return say("that is beside the image; click on a bright spot in marrow", true);
    this.overlay.show();
    await this.reading.send({ kind: "grow", label: 0, voxel });
  }
}
