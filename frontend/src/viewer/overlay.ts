// Lesions drawn over the images: a bitmap of labels a pane, shown as outline, fill or not at all.
import type { OverlayStyle } from "../niivue-adapter";
import { pressed } from "./dom";
import type { Panes, View } from "./panes";
import type { ReadingState } from "./types";

/** Bitmap values there are for lesions: a byte less nothing (0) and one kept free. */
const VALUES = 254;

/** The bitmap's value for the lesion at a place of the list. */
export function bitmapValue(place: number): number {
  return (place % VALUES) + 1;
}

export class Overlay {
  private style: OverlayStyle = "off";
  private fill = false;

  constructor(private readonly root: HTMLElement, private readonly panes: Panes) {}

  /** Draws a state's lesions into a pane's bitmap; this visit's own pane unless another is named. */
  paint(state: ReadingState, view: View | undefined = this.panes.views[0]): void {
    const pane = view?.pane;
    const bitmap = pane?.labels;
    if (!pane || !bitmap) return;
    bitmap.fill(0);
    state.lesions.forEach((lesion, n) => {
      if (lesion.verdict === "rejected") return;
      for (const [start, length] of lesion.runs) bitmap.fill(bitmapValue(n), start, start + length);
    });
    pane.refreshLabels();
  }

  show(): void {
    if (this.style === "off") this.toggle();
  }

  toggle(): void {
    this.style = this.style === "off" ? (this.fill ? "fill" : "outline") : "off";
    for (const view of this.panes.views) if (view.labels) view.pane.setOverlay(this.style);
    this.root.dataset["overlay"] = this.style;
    pressed("overlay", this.style !== "off");
  }

  toggleFill(): void {
    this.fill = !this.fill;
    pressed("fill", this.fill);
    if (this.style !== "off") {
      this.style = "off";
      this.toggle();
    }
  }
}
