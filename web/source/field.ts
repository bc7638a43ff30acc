// A large matrix on a canvas: one pixel a cell in memory, of which the part in sight is drawn, at any size.

import { button, draw, make, FONT, shorten } from "./elements";
import { heat, LIGHT, palette, type Palette } from "./colour";
import { strongest, type Reading, type Weights } from "./trace";
import type { Place, Store } from "./store";

const LEFT = 96;
const TOP = 24;
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

  constructor(
    private readonly body: HTMLElement,
    private readonly look: Weights,
    private readonly reading: Reading,
    private readonly scale: "row" | "absolute",
    private readonly store: Store,
  ) {
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
    const width = (this.body.clientWidth || 800) - LEFT;
    return Math.min(Math.max(width / this.bitmap.width, 0.5), GREATEST);
  }

  private resize(size: number): void {
    this.size = size;
    this.extent.style.width = `${LEFT + this.bitmap.width * size}px`;
    this.extent.style.height = `${TOP + this.bitmap.height * size}px`;
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
      if (at >= LEFT) context.fillText(shorten(this.reading.cells[cell], 12, 64), at, TOP - 8);
    }
    this.light(this.focus, this.pins);
  }

  /** All of it, as an image between its names, which are text where there is room for them. */
  picture(): SVGSVGElement {
    const { steps, cells } = this.reading;
    const size = Math.max(1, Math.min(12, Math.floor(GREATEST_SIDE / Math.max(steps.length, cells.length))));
    const [width, height] = [LEFT + cells.length * size, TOP + steps.length * size];
    const picture = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, "font-size": 10 });
    const image = draw("image", {
      href: bitmap(this.look, this.scale, LIGHT).toDataURL(),
      x: LEFT,
      y: TOP,
      width: width - LEFT,
      height: height - TOP,
      preserveAspectRatio: "none",
    });
    image.style.imageRendering = "pixelated";
    picture.append(draw("rect", { width, height, fill: LIGHT.paper }), image);
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
