// The keyboard: every key, what it is called in the list, and what it does.
import { byId, text } from "./dom";
import type { Lesions } from "./lesions";
import type { Overlay } from "./overlay";
import type { Panes } from "./panes";
import type { Tools } from "./tools";

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

export function showKeys(): void {
  byId("keys").replaceChildren(...KEYS.flatMap(([keys, what]) => [text("dt", keys), text("dd", what)]));
}

/** Parts of the viewer that keys act on; `act` does what a button of that name does. */
export interface Room {
  panes: Panes;
  overlay: Overlay;
  lesions: Lesions;
  tools: Tools;
  act(name: string): void;
}

export function listenToKeys(room: Room): void {
  document.addEventListener("keydown", (event) => {
    if (!meant(event)) return;
    const run = actions(room, event)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run) return;
    event.preventDefault();
    run();
  });
}

/** Whether a key is for the viewer: not typed into a field, not pressing a button, not a browser's shortcut. */
function meant(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  const typing = target instanceof HTMLInputElement && target.type !== "range";
  if (typing || target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (document.querySelector("dialog[open]")) return false;
  return !(target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " "));
}

function actions({ panes, overlay, lesions, tools, act }: Room, event: KeyboardEvent): Record<string, () => void> {
  const view = panes.activeView;
  return {
    ArrowUp: () => view && panes.scroll(view, -1),
    ArrowDown: () => view && panes.scroll(view, 1),
    n: () => lesions.next(event.shiftKey ? -1 : 1),
    o: () => overlay.toggle(),
    f: () => overlay.toggleFill(),
    "1": () => panes.preset("usual"),
    "2": () => panes.preset("bright"),
    "3": () => panes.preset("faint"),
    v: () => tools.setTool("look"),
    b: () => tools.setTool("brush"),
    e: () => tools.setTool("erase"),
    g: () => tools.setTool("grow"),
    s: () => tools.setTool("split"),
    "[": () => tools.resizeBrush(-1),
    "]": () => tools.resizeBrush(1),
    Enter: () => lesions.verdict("accept"),
    x: () => lesions.verdict("reject"),
    j: () => lesions.verdict("merge"),
    z: () => act("undo"),
    a: () => act("automatic"),
    p: () => panes.nextPlane(),
    t: () => panes.activateNext(),
    m: () => panes.maximise(),
    c: () => panes.toggleCrosshair(),
    "?": () => act("help"),
  };
}
