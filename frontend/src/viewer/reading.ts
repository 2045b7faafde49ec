// What is being read: the state the server last gave, the chosen lesion, and edits that come back as a new state.
import type { Point } from "../niivue-adapter";
import { pressed, say } from "./dom";
import { ask, requestName } from "./server";
import type { Lesion, Manifest, ReadingState } from "./types";

export class Reading {
  state!: ReadingState;
  /** Label of the chosen lesion; 0 when none is. */
  chosen = 0;
  shape: Point = [1, 1, 1];
  private automatic = false;
  private busy = false;

  /** `show` draws a state: this reading's, or the automatic result while it is looked at. */
  constructor(private readonly study: string, private readonly show: (state: ReadingState) => void) {}

  get lesion(): Lesion | undefined {
    return this.state.lesions.find((lesion) => lesion.label === this.chosen);
  }

  /** Lesions that nobody rejected. */
  get standing(): Lesion[] {
    return this.state.lesions.filter((lesion) => lesion.verdict !== "rejected");
  }

  async load(): Promise<Manifest> {
    const manifest = (await ask(`/api/studies/${this.study}/viewer`)) as Manifest;
    this.shape = manifest.shape;
    this.state = manifest.state;
    return manifest;
  }

  async send(change: Record<string, unknown>): Promise<void> {
    await this.post("edits", { request: requestName(), ...change });
  }

  async undo(): Promise<void> {
    await this.post("undo", { request: requestName() });
  }

  /** The automatic result, and back. */
  async toggleAutomatic(): Promise<void> {
    this.automatic = !this.automatic;
    pressed("automatic", this.automatic);
    const shown = this.automatic ? ((await ask(`/api/studies/${this.study}/state?revision=1`)) as ReadingState) : this.state;
    this.show(shown);
    say(this.automatic ? "the automatic result; press A to go back" : "");
  }

  private async post(what: string, body: Record<string, unknown>): Promise<void> {
    if (this.busy) return say("one moment: the last edit is being worked out", true);
    if (this.automatic) return say("this is the automatic result; press A to go back to your reading", true);
    this.busy = true;
    say("working it out…");
    const began = performance.now();
    try {
      this.state = (await ask(`/api/studies/${this.study}/${what}`, body)) as ReadingState;
      say(`version ${this.state.revision}, ${((performance.now() - began) / 1000).toFixed(2)} s`);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), true);
    } finally {
      this.busy = false;
      this.show(this.state);
    }
  }
}
