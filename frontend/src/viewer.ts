// The viewer island: its parts (viewer/) put together. Panes linked by position, tools, keys, edits that come back
// as numbers.
import type { VolumeEntry } from "./niivue-adapter";
import { byId, painted, text } from "./viewer/dom";
import { listenToKeys, type Room, showKeys } from "./viewer/keys";
import { Lesions } from "./viewer/lesions";
import { Overlay } from "./viewer/overlay";
import { Panes } from "./viewer/panes";
import { Reading } from "./viewer/reading";
import { showScores } from "./viewer/scores";
import { type Tool, Tools } from "./viewer/tools";
import type { Manifest, ReadingState } from "./viewer/types";

const ROLE_NAMES: Record<string, string> = { fluid: "Fluid", t1: "T1" };

/** One pane to open: its volume, its title, and whether it is the earlier visit's. */
interface Wanted {
  entry: VolumeEntry;
  title: string;
  isPrior: boolean;
}

class Viewer implements Room {
  readonly panes: Panes;
  readonly overlay: Overlay;
  readonly lesions: Lesions;
  readonly tools: Tools;
  private readonly reading: Reading;

  constructor(private readonly root: HTMLElement) {
    this.reading = new Reading(root.dataset["study"] ?? "", (state) => {
      this.showState(state);
      this.overlay.paint(state);
    });
    this.panes = new Panes(root, this.reading);
    this.overlay = new Overlay(root, this.panes);
    this.lesions = new Lesions(this.reading, this.panes);
    this.tools = new Tools(root, this.reading, this.panes, this.overlay);
  }

  async start(): Promise<void> {
    const manifest = await this.reading.load();
    this.showState(this.reading.state);
    showKeys();
    this.listen();
    const wanted = panesOf(manifest);
    this.panes.links = manifest.prior?.links ?? [];
    const hosts = wanted.map(({ title }) => this.panes.makeHost(title));
    for (const [n, { entry, title, isPrior }] of wanted.entries()) {
      const view = await this.panes.open(hosts[n]!, entry, title, isPrior);
      this.tools.listen(view);
      if (n === 0) this.showFirst();
      else if (isPrior) this.overlay.paint(manifest.prior!.state, view);
      this.root.dataset["first"] ??= performance.now().toFixed(0);
      await painted();
    }
    this.panes.moveTo(this.panes.shared);
    this.root.dataset["ready"] = "yes";
    this.root.dataset["both"] = performance.now().toFixed(0);
    this.root.dataset["axes"] = String(this.panes.views.every((v) => v.pane.axesAsGiven));
  }

  /** What a button of this name, or its key, does. */
  readonly act = (name: string): void => {
    const acts: Record<string, () => void> = {
      next: () => this.lesions.next(1),
      crosshair: () => this.panes.toggleCrosshair(),
      overlay: () => this.overlay.toggle(),
      fill: () => this.overlay.toggleFill(),
      plane: () => this.panes.nextPlane(),
      maximise: () => this.panes.maximise(),
      undo: () => void this.reading.undo(),
      automatic: () => void this.reading.toggleAutomatic(),
      help: () => (byId("help") as HTMLDialogElement).showModal(),
    };
    acts[name]?.();
  };

  private showFirst(): void {
    this.overlay.paint(this.reading.state);
    this.panes.shared = this.panes.views[0]!.pane.world();
    const first = this.reading.standing[0];
    if (first) this.lesions.choose(first.label);
    this.panes.activate(0);
  }

  private showState(state: ReadingState): void {
    byId("revision").textContent = String(state.revision);
    byId("status").textContent = state.status;
    this.lesions.show(state.lesions);
    byId("totals").replaceChildren(...state.totals.flatMap((t) => [text("dt", t.label), text("dd", t.value)]));
    showScores(state.scores, (target, value) => void this.reading.send({ kind: "set_cell", target, value }));
    if (!state.lesions.some((lesion) => lesion.label === this.reading.chosen)) this.reading.chosen = 0;
  }

  private listen(): void {
    this.root.addEventListener("click", (event) => {
      const data = (event.target as HTMLElement).closest<HTMLElement>("button")?.dataset;
      if (data?.["tool"]) this.tools.setTool(data["tool"] as Tool);
      else if (data?.["act"]) this.act(data["act"]);
      else if (data?.["verdict"]) this.lesions.verdict(data["verdict"]);
    });
    byId("window").addEventListener("change", (event) => this.panes.preset((event.target as HTMLSelectElement).value));
    listenToKeys(this);
  }
}

/** Fluid and T1, the prior's fluid image between them. */
function panesOf(manifest: Manifest): Wanted[] {
  const wanted = manifest.volumes
    .filter((v) => v.role === "fluid" || v.role === "t1")
    .map((entry) => ({ entry, title: ROLE_NAMES[entry.role] ?? entry.role, isPrior: false }));
  const prior = manifest.prior?.volumes.find((v) => v.role === "fluid");
  if (prior) wanted.splice(1, 0, { entry: prior, title: "Prior", isPrior: true });
  return wanted;
}

const root = document.getElementById("viewer");
if (root) {
  new Viewer(root).start().catch((error: unknown) => {
    byId("message").textContent = error instanceof Error ? error.message : String(error);
  });
}
