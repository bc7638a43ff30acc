// A large matrix on a canvas: one pixel a cell in memory, of which the part in sight is drawn, at any size.

import { button, draw, make, FONT, shorten } from "./elements";
import { heat, LIGHT, palette, type Palette } from "./colour";
import { briefly, coverage, marked, strongest, sum, unspecial, type Gold, type Reading, type Weights } from "./trace";
import type { Place, Store } from "./store";

const LEFT = 96;
const TOP = 24;
// Room for the sums of rows and of columns.
const RIGHT = 52;
const BOTTOM = 40;
const GREATEST = 24;
const GREATEST_SIDE = 6000;

export class Field {
  private readonly canvas = make("canvas", { class: "field-picture", "aria-hidden": "true" });
  private readonly over = make("canvas", { class: "field-picture field-lit", "aria-hidden": "true" });
  private readonly extent = make("div", { class: "field-extent" });
  private readonly bitmap: HTMLCanvasElement;
  private size = 1;
  private focus: Place = { step: -1, cell: -1 };
  private pins: Place[] = [];
  private readonly rowSums: number[];
  private readonly columnSums: number[];
  private readonly marks: number[];
  private readonly names: string[];
  /** A person's links: cell, step, and whether it is sure. */
  private readonly links: [number, number, boolean][];

  constructor(
    private readonly body: HTMLElement,
    private readonly look: Weights,
    private readonly reading: Reading,
    private readonly scale: "row" | "absolute",
    private readonly store: Store,
    gold: Gold | null,
  ) {
    this.rowSums = look.weights.map(sum);
    this.columnSums = coverage(look);
    this.names = briefly(look.memory, reading.cells);
    this.marks = look.weights.map(marked);
    const [cells, steps] = [unspecial(look.memory), unspecial(look.steps)];
    const sure = new Set(gold?.sure.map(String));
    this.links = (gold?.possible ?? [])
      .map((link): [number, number, boolean] => [cells[link[0]], steps[link[1]], sure.has(String(link))])
      .filter(([cell, step]) => cell !== undefined && step !== undefined);
    this.bitmap = bitmap(look, scale, palette());
    const zoom = (by: number) => this.resize(Math.min(Math.max(this.size * by, 0.5), GREATEST));
    const tools = make(
      "div",
      { class: "field-tools", role: "group", "aria-label": "Zoom" },
      button("−", () => zoom(0.5), { "aria-label": "Smaller" }),
      button("+", () => zoom(2), { "aria-label": "Larger" }),
      button("fit", () => this.resize(this.fitting())),
    );
    this.extent.append(make("div", { class: "field-sight" }, this.canvas, this.over));
    body.append(this.extent);
    body.before(tools);
    body.addEventListener("scroll", () => this.paint());
    this.over.addEventListener("pointermove", (event) => this.store.light(this.place(event)));
    this.over.addEventListener("pointerleave", () => this.store.light({ step: -1, cell: -1 }));
    this.over.addEventListener("click", (event) => this.store.togglePin(this.place(event)));
    this.resize(this.fitting());
    new ResizeObserver(() => this.paint()).observe(body);
  }

  private fitting(): number {
    const width = (this.body.clientWidth || 800) - LEFT - RIGHT;
    return Math.min(Math.max(width / this.bitmap.width, 0.5), GREATEST);
  }

  private resize(size: number): void {
    this.size = size;
    this.extent.style.width = `${LEFT + this.bitmap.width * size + RIGHT}px`;
    this.extent.style.height = `${TOP + this.bitmap.height * size + BOTTOM}px`;
    this.paint();
  }

  private place(event: PointerEvent | MouseEvent): Place {
    const cell = Math.floor((event.offsetX - LEFT + this.body.scrollLeft) / this.size);
    const step = Math.floor((event.offsetY - TOP + this.body.scrollTop) / this.size);
    return {
      step: event.offsetY >= TOP && step < this.bitmap.height ? step : -1,
      cell: event.offsetX >= LEFT && cell < this.bitmap.width ? cell : -1,
    };
  }

  private paint(): void {
    const [width, height] = [this.body.clientWidth, this.body.clientHeight];
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.over]) {
      if (canvas.width === width * ratio && canvas.height === height * ratio) continue;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext("2d")!;
    const colours = palette();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = this.size < 1;
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP, width, height);
    context.clip();
    const [x, y] = [LEFT - this.body.scrollLeft, TOP - this.body.scrollTop];
    context.drawImage(this.bitmap, x, y, this.bitmap.width * this.size, this.bitmap.height * this.size);
    this.drawMarks(context, colours, x, y, height);
    context.restore();
    context.font = `12px ${FONT}`;
    context.fillStyle = colours.quiet;
    // Names where there is room for them: every so many rows and columns.
    const every = Math.max(1, Math.ceil(16 / this.size));
    context.textAlign = "right";
    const firstStep = Math.floor(this.body.scrollTop / this.size / every) * every;
    for (let step = firstStep; step < this.bitmap.height; step += every) {
      const at = y + (step + 0.5) * this.size;
      if (at > height) break;
      if (at >= TOP) context.fillText(shorten(this.reading.steps[step], 12, LEFT - 12), LEFT - 8, at + 4);
    }
    context.textAlign = "left";
    const apart = Math.max(1, Math.ceil(70 / this.size));
    const firstCell = Math.floor(this.body.scrollLeft / this.size / apart) * apart;
    for (let cell = firstCell; cell < this.bitmap.width; cell += apart) {
      const at = x + (cell + 0.5) * this.size;
      if (at > width) break;
      if (at >= LEFT) context.fillText(shorten(this.names[cell], 12, 64), at, TOP - 8);
    }
    this.light(this.focus, this.pins);
  }

  /** The strongest cell of each row, a person's links, and the sums of rows and columns: those in sight. */
  private drawMarks(context: CanvasRenderingContext2D, colours: Palette, x: number, y: number, height: number): void {
    const { size } = this;
    const thick = Math.max(size - 1, 1);
    context.fillStyle = colours.quiet;
    const right = x + this.bitmap.width * size + 8;
    const first = Math.max(0, Math.floor((TOP - y) / size));
    const last = Math.min(this.bitmap.height, Math.ceil((height - y) / size));
    for (let step = first; step < last; step++) {
      context.fillRect(right, y + step * size, Math.min(this.rowSums[step], 1) * (RIGHT - 16), thick);
    }
    const below = y + this.bitmap.height * size + 6;
    const most = Math.max(1, ...this.columnSums);
    this.columnSums.forEach((value, cell) => context.fillRect(x + cell * size, below, thick, (value / most) * (BOTTOM - 10)));
    context.lineWidth = 1;
    context.fillStyle = colours.paper;
    context.strokeStyle = colours.ink;
    for (let step = first; step < last; step++) {
      if (this.marks[step] < 0) continue;
      context.beginPath();
      context.arc(x + (this.marks[step] + 0.5) * size, y + (step + 0.5) * size, Math.min(3.2, Math.max(size / 5, 1.2)), 0, 2 * Math.PI);
      context.fill();
      if (size >= 6) context.stroke();
    }
    context.strokeStyle = colours.mark;
    context.lineWidth = 1.5;
    const side = Math.max(size - 2, 3);
    for (const [cell, step, sure] of this.links) {
      context.setLineDash(sure ? [] : [3, 2]);
      context.strokeRect(x + (cell + 0.5) * size - side / 2, y + (step + 0.5) * size - side / 2, side, side);
    }
    context.setLineDash([]);
  }

  /** All of it, as an image between its names, which are text where there is room for them. */
  picture(): SVGSVGElement {
    const { steps } = this.reading;
    const cells = this.names;
    const size = Math.max(1, Math.min(12, Math.floor(GREATEST_SIDE / Math.max(steps.length, cells.length))));
    const [across, down] = [cells.length * size, steps.length * size];
    const [width, height] = [LEFT + across + RIGHT, TOP + down + BOTTOM];
    const picture = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, "font-size": 10 });
    const image = draw("image", {
      href: bitmap(this.look, this.scale, LIGHT).toDataURL(),
      x: LEFT,
      y: TOP,
      width: across,
      height: down,
      preserveAspectRatio: "none",
    });
    image.style.imageRendering = "pixelated";
    picture.append(draw("rect", { width, height, fill: LIGHT.paper }), image);
    const box = (x: number, y: number, width: number, height: number) => draw("rect", { x, y, width, height: height.toFixed(2), fill: LIGHT.quiet });
    const most = Math.max(1, ...this.columnSums);
    const thick = Math.max(size - 1, 1);
    this.rowSums.forEach((value, step) => picture.append(box(LEFT + across + 8, TOP + step * size, Math.min(value, 1) * (RIGHT - 16), thick)));
    this.columnSums.forEach((value, cell) => picture.append(box(LEFT + cell * size, TOP + down + 6, thick, (value / most) * (BOTTOM - 10))));
    this.marks.forEach((cell, step) => {
      const at = { cx: LEFT + (cell + 0.5) * size, cy: TOP + (step + 0.5) * size, r: Math.max(size / 5, 0.6) };
      if (cell >= 0) picture.append(draw("circle", { ...at, fill: LIGHT.paper, stroke: LIGHT.ink, "stroke-width": 0.5 }));
    });
    for (const [cell, step, sure] of this.links) {
      const at = { x: LEFT + cell * size, y: TOP + step * size, width: size, height: size, fill: "none" };
      picture.append(draw("rect", { ...at, stroke: LIGHT.mark, "stroke-width": 1.5, ...(sure ? {} : { "stroke-dasharray": "3 2" }) }));
    }
    const every = Math.ceil(12 / size);
    for (let step = 0; step < steps.length; step += every) {
      const at = { x: LEFT - 6, y: TOP + (step + 0.5) * size + 3, "text-anchor": "end", fill: LIGHT.ink };
      picture.append(draw("text", at, shorten(steps[step], 10, LEFT - 10)));
    }
    for (let cell = 0; cell < cells.length; cell += Math.ceil(64 / size)) {
      const at = { x: LEFT + cell * size, y: TOP - 8, fill: LIGHT.ink };
      picture.append(draw("text", at, shorten(cells[cell], 10, 60)));
    }
    return picture;
  }

  light(focus: Place, pins: Place[]): void {
    this.focus = focus;
    this.pins = pins;
    const context = this.over.getContext("2d")!;
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.over.width, this.over.height);
    context.save();
    context.beginPath();
    context.rect(LEFT - 2, TOP - 2, this.body.clientWidth, this.body.clientHeight);
    context.clip();
    const colours = palette();
    for (const pin of pins) this.outline(context, pin, colours.mark, 2);
    if (focus.step >= 0) this.outline(context, { step: focus.step, cell: -1 }, colours.mark, 1);
    if (focus.cell >= 0) this.outline(context, { step: -1, cell: focus.cell }, colours.mark, 1);
    context.restore();
  }

  private outline(context: CanvasRenderingContext2D, place: Place, colour: string, line: number): void {
    const [x, y] = [LEFT - this.body.scrollLeft, TOP - this.body.scrollTop];
    const [column, row] = [Math.max(place.cell, 0), Math.max(place.step, 0)];
    const width = (place.cell < 0 ? this.bitmap.width : 1) * this.size;
    const height = (place.step < 0 ? this.bitmap.height : 1) * this.size;
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(x + column * this.size - 0.5, y + row * this.size - 0.5, width + 1, height + 1);
  }
}

function bitmap(look: Weights, scale: "row" | "absolute", colours: Palette): HTMLCanvasElement {
  const [rows, columns] = [look.weights.length, look.weights[0]?.length ?? 0];
  const canvas = make("canvas", { width: Math.max(columns, 1), height: Math.max(rows, 1) });
  const context = canvas.getContext("2d")!;
  const colour = heat(colours);
  const shades = Array.from({ length: 257 }, (_, step) => channels(colour(step / 256)));
  const pixels = context.createImageData(canvas.width, canvas.height);
  look.weights.forEach((row, step) => {
    const best = strongest(row);
    const most = scale === "absolute" || best < 0 ? 1 : row[best];
    for (let cell = 0; cell < columns; cell++) {
      const shade = shades[Math.round(Math.min(row[cell] / most, 1) * 256)];
      const at = 4 * (step * columns + cell);
      pixels.data[at] = shade[0];
      pixels.data[at + 1] = shade[1];
      pixels.data[at + 2] = shade[2];
      pixels.data[at + 3] = 255;
    }
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function channels(colour: string): number[] {
  return (colour.match(/\d+(\.\d+)?/g) ?? []).map(Number);
}
