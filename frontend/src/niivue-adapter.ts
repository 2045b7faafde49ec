// The only file that knows NiiVue: one pane shows one volume in one plane, with a label bitmap over it.
import { Niivue, SLICE_TYPE } from "@niivue/niivue";

export type Plane = "axial" | "coronal" | "sagittal";
export type Point = [number, number, number];
export type Colours = readonly (readonly [number, number, number])[];
export type OverlayStyle = "off" | "outline" | "fill";

const SLICE: Record<Plane, SLICE_TYPE> = {
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
};
const AXIS: Record<Plane, number> = { axial: 2, coronal: 1, sagittal: 0 };

export interface VolumeEntry {
  role: string;
  url: string;
  shape: Point;
  spacing: Point;
  plane: Plane;
  windows: Record<string, [number, number]>;
}

export class ImagePane {
  private readonly nv: Niivue;
  plane: Plane;
  low = 0;
  high = 1;

  private constructor(nv: Niivue, readonly entry: VolumeEntry) {
    this.nv = nv;
    this.plane = entry.plane;
  }

  /**
   * A pane that shows the volume. Window, plane and colours are set before it loads: each later change of them
   * costs another pass over the whole volume.
   */
  static async open(canvas: HTMLCanvasElement, entry: VolumeEntry, colours: Colours): Promise<ImagePane> {
    const nv = new Niivue({
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.34, 0.71, 0.91, 0.55],
      crosshairGap: 10,
      crosshairWidth: 1,
      dragAndDropEnabled: false,
      isColorbar: false,
      isOrientationTextVisible: false,
      isRadiologicalConvention: true,
      isResizeCanvas: true,
      isRuler: false,
      isSliceMM: false,
      loadingText: "",
      logLevel: "error",
      sagittalNoseLeft: true,
      tileMargin: 0,
    });
    const pane = new ImagePane(nv, entry);
    const [low, high] = entry.windows["usual"] ?? [0, 1];
    await nv.attachToCanvas(canvas, false);
    nv.setSliceType(SLICE[entry.plane]);
    nv.drawLut = makeLut(colours);
    await nv.loadVolumes([{ url: entry.url, name: entry.url, colormap: "gray", cal_min: low, cal_max: high }]);
    const volume = nv.volumes[0];
    [pane.low, pane.high] = [low, high];
    if (volume && (volume.cal_min !== low || volume.cal_max !== high)) pane.setWindow(low, high);
    nv.drawOpacity = 0;
    nv.createEmptyDrawing();
    return pane;
  }

  /** The volume's voxel axes as NiiVue sees them; [1, 2, 3] means they are patient-ordered already. */
  get axesAsGiven(): boolean {
    const order = this.nv.volumes[0]?.permRAS ?? [];
    return order[0] === 1 && order[1] === 2 && order[2] === 3;
  }

  setWindow(low: number, high: number): void {
    const volume = this.nv.volumes[0];
    if (!volume) return;
    this.low = low;
    this.high = Math.max(high, low + 1e-6);
    volume.cal_min = this.low;
    volume.cal_max = this.high;
    this.nv.updateGLVolume();
  }

  setPlane(plane: Plane): void {
    this.plane = plane;
    this.nv.setSliceType(SLICE[plane]);
    this.nv.drawScene();
  }

  get sliceAxis(): number {
    return AXIS[this.plane];
  }

  get slice(): number {
    return this.voxel()[this.sliceAxis] ?? 0;
  }

  get slices(): number {
    return this.entry.shape[this.sliceAxis] ?? 1;
  }

  /** Crosshair in world mm (RAS), by the volume's whole affine: NiiVue's default drops the turn of oblique slices. */
  world(): Point {
    const mm = this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true);
    return [mm[0] ?? 0, mm[1] ?? 0, mm[2] ?? 0];
  }

  setWorld(mm: Point): void {
    const frac = this.nv.mm2frac([mm[0], mm[1], mm[2]], 0, true);
    this.nv.scene.crosshairPos = [clamp(frac[0]), clamp(frac[1]), clamp(frac[2])];
    this.nv.drawScene();
  }

  voxel(): Point {
    const v = this.nv.frac2vox(this.nv.scene.crosshairPos);
    return [Math.round(v[0] ?? 0), Math.round(v[1] ?? 0), Math.round(v[2] ?? 0)];
  }

  scroll(steps: number): void {
    const voxel = this.voxel();
    const axis = this.sliceAxis;
    voxel[axis] = Math.min(this.slices - 1, Math.max(0, (voxel[axis] ?? 0) + steps));
    const frac = this.nv.vox2frac(voxel);
    this.nv.scene.crosshairPos = [clamp(frac[0]), clamp(frac[1]), clamp(frac[2])];
    this.nv.drawScene();
  }

  /** Fraction of the volume under a point of the pane (CSS pixels), or null beside the image. */
  private fracAt(x: number, y: number): Point | null {
    const ratio = this.nv.uiData.dpr ?? window.devicePixelRatio;
    const frac = this.nv.canvasPos2frac([x * ratio, y * ratio]);
    const [a, b, c] = [frac[0] ?? -1, frac[1] ?? -1, frac[2] ?? -1];
    return a < 0 || b < 0 || c < 0 ? null : [a, b, c];
  }

  worldAt(x: number, y: number): Point | null {
    const frac = this.fracAt(x, y);
    if (!frac) return null;
    const mm = this.nv.frac2mm(frac, 0, true);
    return [mm[0] ?? 0, mm[1] ?? 0, mm[2] ?? 0];
  }

  voxelAt(x: number, y: number): Point | null {
    const frac = this.fracAt(x, y);
    if (!frac) return null;
    const v = this.nv.frac2vox(frac);
    return [Math.round(v[0] ?? 0), Math.round(v[1] ?? 0), Math.round(v[2] ?? 0)];
  }

  /** Where the image lies in the pane (CSS pixels) and how many millimetres it is wide. */
  extent(): { left: number; top: number; width: number; height: number; widthMm: number } | null {
    const tile = this.nv.screenSlices[0];
    if (!tile) return null;
    const ratio = this.nv.uiData.dpr ?? window.devicePixelRatio;
    const [left = 0, top = 0, width = 0, height = 0] = tile.leftTopWidthHeight;
    const spread: [number, number] = this.plane === "sagittal" ? [1, 2] : [0, this.plane === "axial" ? 1 : 2];
    const widthMm = (this.entry.shape[spread[0]] ?? 1) * (this.entry.spacing[spread[0]] ?? 1);
    return { left: left / ratio, top: top / ratio, width: width / ratio, height: height / ratio, widthMm };
  }

  /** Values of the label bitmap, x fastest; what is written here shows after refreshLabels. */
  get labels(): Uint8Array | null {
    return this.nv.drawBitmap;
  }

  refreshLabels(): void {
    this.nv.refreshDrawing(true);
  }

  setOverlay(style: OverlayStyle): void {
    this.nv.drawOpacity = style === "fill" ? 0.45 : 0;
    this.nv.drawRimOpacity = style === "off" ? -1 : 1;
    if (style === "outline") this.nv.drawOpacity = 0.001;
    this.nv.drawScene();
  }

  setCrosshair(shown: boolean): void {
    this.nv.setCrosshairWidth(shown ? 1 : 0);
  }

  resize(): void {
    this.nv.resizeListener();
    this.nv.drawScene();
  }
}

/** 256 colours for label values, as NiiVue's own makeDrawLut lays them out. */
function makeLut(colours: Colours): { lut: Uint8ClampedArray; labels: string[] } {
  const lut = new Uint8ClampedArray(256 * 4);
  for (let n = 1; n < 256; n += 1) lut.set([...(colours[(n - 1) % colours.length] ?? [255, 255, 0]), 255], n * 4);
  return { lut, labels: [] };
}

function clamp(value: number | undefined): number {
  return Math.min(1, Math.max(0, value ?? 0.5));
}
