/** One ROI: dF/F above, expected spikes per second with their spread below, on one axis of time. */

export interface Trace {
  dff: Float32Array;
  expectedSpikes: Float32Array;
  ensembleStd: Float32Array;
  /** Time of every frame, s, and its rate, Hz. */
  times: Float64Array;
  rates: Float64Array;
}

const LEFT = 56;
const RIGHT = 12;
const AXIS = 22;
const COLOURS = { dff: "#7b8794", spikes: "#c2410c", spread: "#fdba7499", ink: "#5b6875", line: "#d8dee4" };

export class Plot {
  private trace: Trace | null = null;
  private view: [number, number] = [0, 1];
  private drag: { x: number; view: [number, number] } | null = null;

  constructor(private canvas: HTMLCanvasElement) {
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("wheel", (event) => this.zoom(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      this.drag = { x: event.clientX, view: [...this.view] };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => (this.drag = null));
    canvas.addEventListener("dblclick", () => this.trace && this.show(this.trace));
  }

  show(trace: Trace): void {
    this.trace = trace;
    this.view = this.whole();
    this.draw();
  }

  /** From the first frame to the end of the last, s. */
  private whole(): [number, number] {
    const { times, rates } = this.trace!;
    return [Math.min(times[0], times[times.length - 1]), Math.max(times[0], times[times.length - 1]) + 1 / rates[rates.length - 1]];
  }

  private get width(): number {
    return this.canvas.clientWidth - LEFT - RIGHT;
  }

  private zoom(event: WheelEvent): void {
    if (!this.trace) return;
    event.preventDefault();
    const at = this.view[0] + ((event.offsetX - LEFT) / this.width) * (this.view[1] - this.view[0]);
    const factor = Math.exp(event.deltaY / 400);
    this.look(at + (this.view[0] - at) * factor, at + (this.view[1] - at) * factor);
  }

  private move(event: PointerEvent): void {
    if (!this.drag) return;
    const span = this.drag.view[1] - this.drag.view[0];
    const shift = ((this.drag.x - event.clientX) / this.width) * span;
    this.look(this.drag.view[0] + shift, this.drag.view[1] + shift);
  }

  private look(first: number, stop: number): void {
    const [start, end] = this.whole();
    const span = Math.min(Math.max(stop - first, 20 / this.trace!.rates[0]), end - start);
    const low = Math.min(Math.max(first, start), end - span);
    this.view = [low, low + span];
    this.draw();
  }

  private draw(): void {
    if (!this.trace) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const context = this.canvas.getContext("2d")!;
    context.scale(ratio, ratio);
    context.font = "12px system-ui, sans-serif";
    const { dff, expectedSpikes, ensembleStd, rates } = this.trace;
    const half = (height - AXIS) / 2;
    const rate = expectedSpikes.map((value, t) => value * rates[t]);
    const spread = ensembleStd.map((value, t) => value * rates[t]);
    this.panel(context, 8, half - 20, "dF/F", [dff], COLOURS.dff);
    this.panel(context, half + 8, half - 14, "spikes/s", [rate, spread], COLOURS.spikes);
    this.times(context, height);
  }

  private panel(context: CanvasRenderingContext2D, top: number, height: number, label: string, values: Float32Array[], colour: string): void {
    const [main, spread] = values;
    const columns = Math.max(1, Math.floor(this.width));
    const bins = Array.from({ length: columns }, (_, x) => this.extremes(main, spread, x / columns, (x + 1) / columns));
    let low = Math.min(0, ...bins.map((bin) => bin[0]).filter(Number.isFinite));
    let high = Math.max(low + 1e-6, ...bins.map((bin) => bin[3]).filter(Number.isFinite));
    const y = (value: number) => top + height - ((value - low) / (high - low)) * height;
    context.strokeStyle = COLOURS.line;
    context.fillStyle = COLOURS.ink;
    context.textAlign = "right";
    for (const tick of [low, high, 0].filter((value, i, all) => all.indexOf(value) === i)) {
      context.beginPath();
      context.moveTo(LEFT, y(tick));
      context.lineTo(LEFT + columns, y(tick));
      context.stroke();
      context.fillText(Number(tick.toPrecision(2)).toString(), LEFT - 6, y(tick) + 4);
    }
    context.save();
    context.translate(12, top + height / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(label, 0, 0);
    context.restore();
    if (spread) {
      context.fillStyle = COLOURS.spread;
      bins.forEach(([least, , , most], x) => Number.isFinite(most) && context.fillRect(LEFT + x, y(most), 1.2, Math.max(y(least) - y(most), 0.5)));
    }
    context.strokeStyle = colour;
    context.lineWidth = 1.2;
    context.beginPath();
    let pen = false;
    bins.forEach(([, least, most], x) => {
      if (!Number.isFinite(most)) return (pen = false);
      if (pen) context.lineTo(LEFT + x, y(most));
      else context.moveTo(LEFT + x, y(most));
      context.lineTo(LEFT + x, y(least));
      return (pen = true);
    });
    context.stroke();
  }

  /** Least with spread, least, most, most with spread of the frames in a share of the view; none is NaN. */
  private extremes(main: Float32Array, spread: Float32Array | undefined, from: number, to: number): number[] {
    const { times, rates } = this.trace!;
    const [low, high] = this.view;
    const begin = low + from * (high - low);
    const before = firstAfter(times, begin) - 1; // the frame that lasts until here, unless a pause follows it
    const first = before >= 0 && begin - times[before] < 1.5 / rates[before] ? before : before + 1;
    const stop = firstAfter(times, low + to * (high - low));
    let [wideLow, least, most, wideHigh] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let t = first; t < stop; t++) {
      const value = main[t];
      if (Number.isNaN(value)) continue;
      const around = spread?.[t] || 0;
      least = Math.min(least, value);
      most = Math.max(most, value);
      wideLow = Math.min(wideLow, Math.max(value - around, spread ? 0 : -Infinity));
      wideHigh = Math.max(wideHigh, value + around);
    }
    return [wideLow, least, most, wideHigh];
  }

  private times(context: CanvasRenderingContext2D, height: number): void {
    const [first, stop] = this.view;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600].find((one) => (stop - first) / one <= 10) ?? 7200;
    context.fillStyle = COLOURS.ink;
    context.textAlign = "center";
    for (let time = Math.ceil(first / step) * step; time <= stop; time += step) {
      const x = LEFT + ((time - first) / (stop - first)) * this.width;
      const label = `${Number(time.toFixed(1))} s`;
      const reach = context.measureText(label).width / 2;
      context.fillText(label, Math.min(x, LEFT + this.width + RIGHT - reach), height - 6);
    }
  }
}

/** The first frame later than a time; of a clock that goes back, some such frame. */
function firstAfter(times: Float64Array, time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
