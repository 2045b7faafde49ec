// Points, directions and voxels: pure functions.
import type { ImagePane, Point } from "../niivue-adapter";

/** A point moved by a 4x4 (row by row); where there is none, left where it is. */
export function moved(matrix: number[] | undefined, [x, y, z]: Point): Point {
  if (!matrix) return [x, y, z];
  const row = (n: number): number => {
    const [a = 0, b = 0, c = 0, d = 0] = matrix.slice(4 * n, 4 * n + 4);
    return a * x + b * y + c * z + d;
  };
  return [row(0), row(1), row(2)];
}

export function difference(a: Point | null, b: Point | null): Point | null {
  return a && b ? [a[0] - b[0], a[1] - b[1], a[2] - b[2]] : null;
}

/** The patient direction a RAS vector (times sign) points to most. */
export function letter(vector: Point | null, sign: number): string {
  if (!vector) return "";
  const sizes = vector.map(Math.abs);
  const axis = sizes.indexOf(Math.max(...sizes));
  const pair = ["LR", "PA", "IS"][axis] ?? "  ";
  return pair[(vector[axis] ?? 0) * sign > 0 ? 1 : 0] ?? "";
}

export function runsOf(indices: number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const index of indices) {
    const last = runs[runs.length - 1];
    if (last && last[0] + last[1] === index) last[1] += 1;
    else runs.push([index, 1]);
  }
  return runs;
}

/** Indices (x fastest) of the voxels of a volume's slice that lie within a radius of a voxel. */
export function* disc(pane: ImagePane, shape: Point, centre: Point, radiusMm: number): Generator<number> {
  const [nx, ny] = shape;
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
      if (at.some((n, k) => n < 0 || n >= (shape[k] ?? 0))) continue;
      yield at[0] + nx * (at[1] + ny * at[2]);
    }
  }
}
