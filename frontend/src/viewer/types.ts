// What the server tells of a study: volumes, lesions, scores, and how a prior visit lies on this one.
import type { Point, VolumeEntry } from "../niivue-adapter";

export interface Lesion {
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

export interface Cell {
  id: string;
  value: number | null;
  reason?: string;
  by?: string;
  highest?: number | null;
}

export interface Score {
  id: string;
  label: string;
  total: { status: string; value?: number };
  statement: string;
  cells: Cell[];
}

export interface ReadingState {
  revision: number;
  status: string;
  lesions: Lesion[];
  totals: { code: string; label: string; value: string }[];
  scores: Score[];
}

export interface Manifest {
  volumes: VolumeEntry[];
  shape: Point;
  prior: { volumes: VolumeEntry[]; state: ReadingState; links: Link[] } | null;
  state: ReadingState;
}

/** A bone's rigid registration of the prior visit to this one (RAS mm, row by row), largest bone first. */
export interface Link {
  bone: string;
  dice: number;
  forward: number[];
  backward: number[];
}
