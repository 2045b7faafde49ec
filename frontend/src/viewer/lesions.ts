// The list of lesions: choosing one, and verdicts on it.
import { COLOURS } from "./colours";
import { byId, element, say, text } from "./dom";
import type { Panes } from "./panes";
import type { Reading } from "./reading";
import type { Lesion } from "./types";

export class Lesions {
  private merging = false;

  constructor(private readonly reading: Reading, private readonly panes: Panes) {}

  show(lesions: Lesion[]): void {
    byId("lesions").replaceChildren(...lesions.map((lesion, n) => this.row(lesion, n)));
    byId("lesion-actions").hidden = !lesions.length;
  }

  /** Chooses a lesion and goes to its middle. */
  choose(label: number): void {
    this.reading.chosen = label;
    this.markChosen();
    const lesion = this.reading.lesion;
    if (lesion) this.panes.moveTo(lesion.centroid);
  }

  next(step: number): void {
    const labels = this.reading.standing.map((l) => l.label);
    if (!labels.length) return say("no lesion");
    const at = labels.indexOf(this.reading.chosen);
    const next = labels[(at + step + labels.length) % labels.length];
    if (next !== undefined) this.choose(next);
  }

  verdict(kind: string): void {
    if (!this.reading.chosen) return say("choose a lesion first", true);
    if (kind === "merge") {
      this.merging = true;
      return say("choose the lesion to merge it into");
    }
    void this.reading.send({ kind, label: this.reading.chosen });
  }

  private row(lesion: Lesion, n: number): HTMLElement {
    const button = element("button");
    button.dataset["label"] = String(lesion.label);
    button.classList.toggle("rejected", lesion.verdict === "rejected");
    button.setAttribute("aria-pressed", String(lesion.label === this.reading.chosen));
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
    const chosen = this.reading.chosen;
    if (this.merging && chosen && label !== chosen) {
      this.merging = false;
      void this.reading.send({ kind: "merge", label, others: [chosen] });
      this.reading.chosen = label;
      return;
    }
    this.merging = false;
    if (label === chosen) this.unchoose();
    else this.choose(label);
  }

  private unchoose(): void {
    this.reading.chosen = 0;
    this.markChosen();
    say("no lesion chosen: the brush begins a new one");
  }

  private markChosen(): void {
    for (const button of byId("lesions").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset["label"]) === this.reading.chosen));
    }
  }
}
