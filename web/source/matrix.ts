// The alignment matrix: steps are rows, cells are columns.

import { alignmentErrorRate, briefly, coverage, harmless, hasWords, links, marked, strongest, sum, unspecial, type Gold, type Weights } from "./trace";
import { choice, draw, FONT, isolated, make, shorten, textWidth } from "./elements";
import { heat, LIGHT, palette, type Palette } from "./colour";
import type { Panel } from "./panel";
import { framed, saving, steered, View } from "./view";
import { Field } from "./field";

const TEXT = 13;
const LARGE = 60;
const WIDEST_LABEL = 150;
const ROW_SUMS = 84;
// On a narrow screen the columns need the room of the row sums.
const NARROW = 480;

/** Where everything stands in the picture, in pixels. */
interface Geometry {
  size: number;
  left: number;
  top: number;
  width: number;
  height: number;
  sums: boolean;
  /** What the columns and the rows are, where the inputs have names. */
  titles: string[];
}

export class Matrix extends View {
  private lit: SVGGElement | null = null;
  private field: Field | null = null;
  private geometry: Geometry | null = null;

  protected draw(): void {
    const { reading, store } = this.panel;
    const look = reading.look as Weights;
    const gold = goldOf(this.panel);
    const scale = choice(
      "Scale",
      [
        ["row", "per row"],
        ["absolute", "absolute"],
      ] as const,
      this.settings.scale,
      (value) => store.change({ scale: value }, false),
    );
    const large = look.weights.length > LARGE || reading.cells.length > LARGE;
    const body = make("div", { class: large ? "field" : "scroll" });
    const { sides } = this.panel;
    const [steps, cells] = [sides.steps ? `cells of ${sides.steps}` : "steps", sides.cells ? `cells of ${sides.cells}` : "cells"];
    const label = `Alignment matrix of ${reading.steps.length} ${steps} by ${reading.cells.length} ${cells}`;
    this.append(framed("Matrix", [scale, saving("matrix", () => this.picture())], body, legend(this.panel, gold)));
    if (large) {
      this.field = new Field(body, look, reading, this.settings.scale, store, gold);
      this.lit = null;
    } else {
      this.field = null;
      this.geometry = geometry(this.panel, Math.max(this.clientWidth - 2, 280));
      const colours = palette();
      this.lit = draw("g", { "pointer-events": "none" });
      const picture = matrixPicture(this.panel, this.geometry, colours, gold);
      picture.append(this.lit);
      body.append(picture);
      this.point(picture, this.geometry);
    }
    steered(body, this.panel, label, { step: "vertical", cell: "horizontal" });
  }

  private point(picture: SVGSVGElement, geometry: Geometry): void {
    const { store, reading } = this.panel;
    const place = (event: PointerEvent | MouseEvent) => {
      const box = picture.getBoundingClientRect();
      const step = Math.floor((event.clientY - box.top - geometry.top) / geometry.size);
      const cell = Math.floor((event.clientX - box.left - geometry.left) / geometry.size);
      return {
        step: step >= 0 && step < reading.steps.length ? step : -1,
        cell: cell >= 0 && cell < reading.cells.length ? cell : -1,
      };
    };
    picture.addEventListener("pointermove", (event) => store.light(place(event)));
    picture.addEventListener("pointerleave", () => store.light({ step: -1, cell: -1 }));
    picture.addEventListener("click", (event) => {
      const found = place(event);
      if (found.step >= 0 || found.cell >= 0) store.togglePin(found);
    });
  }

  override light(): void {
    const { store } = this.panel;
    if (this.field) this.field.light(store.focus, store.settings.pins);
    if (!this.lit || !this.geometry) return;
    const { size, left, top } = this.geometry;
    const { steps, cells } = this.panel.reading;
    const colours = palette();
    const { step, cell } = store.focus;
    const outline = { fill: "none", stroke: colours.ink, "stroke-width": 1.5, rx: 2 };
    const shapes: SVGElement[] = [];
    if (store.upTo !== null && store.upTo + 1 < steps.length) {
      const from = { x: 0, y: top + (store.upTo + 1) * size, width: left + cells.length * size, height: (steps.length - store.upTo - 1) * size };
      shapes.push(draw("rect", { ...from, class: "not-yet", fill: colours.paper, opacity: 0.75 }));
    }
    if (step >= 0 && step < steps.length) {
      shapes.push(draw("rect", { ...outline, x: left, y: top + step * size, width: cells.length * size, height: size }));
    }
    if (cell >= 0 && cell < cells.length) {
      shapes.push(draw("rect", { ...outline, x: left + cell * size, y: top, width: size, height: steps.length * size }));
    }
    for (const pin of store.settings.pins) {
      if (pin.step >= steps.length || pin.cell >= cells.length) continue;
      const [row, column] = [Math.max(pin.step, 0), Math.max(pin.cell, 0)];
      const box = { x: left + column * size + 0.5, y: top + row * size + 0.5 };
      const width = (pin.cell < 0 ? cells.length : 1) * size - 1;
      const height = (pin.step < 0 ? steps.length : 1) * size - 1;
      shapes.push(draw("rect", { ...box, width, height, fill: "none", stroke: colours.mark, "stroke-width": 2.5, rx: 2 }));
    }
    this.lit.replaceChildren(...shapes);
  }

  /** The whole matrix on white, whatever is on screen, with its text as text. */
  picture(): SVGSVGElement {
    if (this.field) return this.field.picture();
    return matrixPicture(this.panel, geometry(this.panel, 900), LIGHT, goldOf(this.panel));
  }
}

function geometry(panel: Panel, width: number): Geometry {
  const { steps } = panel.reading;
  const cells = briefly((panel.reading.look as Weights).memory, panel.reading.cells);
  const widest = (names: string[]) => Math.min(Math.max(0, ...names.map((name) => textWidth(name, TEXT))), WIDEST_LABEL);
  const { sides } = panel;
  const titles = sides.cells ? [`${harmless(sides.cells)} →`, ...(sides.steps ? [`${harmless(sides.steps)} ↓`] : [])] : [];
  const left = Math.ceil(Math.min(Math.max(widest(steps), widest(titles)), width ? width * 0.3 : WIDEST_LABEL)) + 12;
  const sums = width >= NARROW;
  const right = sums ? ROW_SUMS : 6;
  const size = Math.floor(Math.min(Math.max((width - left - right) / Math.max(cells.length, 1), sums ? 15 : 12), 30));
  const slanted = cells.filter((name) => !isUpright(name, size));
  const top = slanted.length ? Math.ceil(widest(slanted) * 0.82) + 20 : titles.length ? 40 : 26;
  // Slanted names reach beyond the last column.
  const beyond = slanted.length ? Math.max(0, Math.ceil(widest(cells.slice(-1)) * 0.6) - right) : 0;
  return {
    size,
    left,
    top,
    width: left + cells.length * size + right + beyond,
    height: top + steps.length * size + 62,
    sums,
    titles,
  };
}

function isUpright(name: string, size: number): boolean {
  return Array.from(name).length === 1 || textWidth(name, TEXT) <= size - 1;
}

function matrixPicture(panel: Panel, at: Geometry, colours: Palette, gold: Gold | null): SVGSVGElement {
  const { reading, store } = panel;
  const look = reading.look as Weights;
  const { size, left, top } = at;
  const colour = heat(colours);
  const absolute = store.settings.scale === "absolute";
  const parts: SVGElement[] = [draw("rect", { width: at.width, height: at.height, fill: colours.paper })];
  const text = { "font-size": TEXT, fill: colours.ink };
  at.titles.forEach((title, index) => {
    const place = { x: left - 8, y: index ? top - 7 : top - 23, "text-anchor": "end", "font-size": 12, fill: colours.quiet };
    parts.push(titled(draw("text", place, shorten(title, 12, left - 12)), title));
  });
  briefly(look.memory, reading.cells).forEach((name, cell) => {
    const x = left + (cell + 0.5) * size;
    const turn = isUpright(name, size)
      ? { x, y: top - 9, "text-anchor": "middle" }
      : { transform: `translate(${x + 4} ${top - 8}) rotate(-55)` };
    const label = draw("text", { ...text, ...turn }, shorten(name, TEXT, WIDEST_LABEL));
    parts.push(titled(label, name));
  });
  look.weights.forEach((row, step) => {
    const y = top + step * size;
    const best = strongest(row);
    const most = absolute ? 1 : best < 0 ? 1 : row[best];
    const name = reading.steps[step];
    const label = { ...text, x: left - 8, y: y + size / 2 + 4.5, "text-anchor": "end" };
    parts.push(titled(draw("text", label, shorten(name, TEXT, left - 12)), name));
    row.forEach((weight, cell) => {
      const box = { x: left + cell * size + 0.5, y: y + 0.5, width: size - 1, height: size - 1, rx: 1.5 };
      parts.push(draw("rect", { ...box, fill: colour(weight / most) }));
    });
    const mark = marked(row);
    if (mark >= 0) {
      const dot = { cx: left + (mark + 0.5) * size, cy: y + size / 2, r: Math.min(3.2, size / 5) };
      parts.push(draw("circle", { ...dot, fill: colours.paper, stroke: colours.ink, "stroke-width": 1 }));
    }
    if (at.sums) parts.push(...bar(left + reading.cells.length * size + 10, y + size / 2 - 3, sum(row), 36, colours));
  });
  parts.push(...goldMarks(look, gold, at, colours), ...columnSums(look, at, colours));
  return draw(
    "svg",
    {
      width: at.width,
      height: at.height,
      viewBox: `0 0 ${at.width} ${at.height}`,
      "font-family": FONT,
      role: "img",
      "aria-label": "Alignment matrix",
    },
    ...parts,
  );
}

function titled(label: SVGTextElement, name: string): SVGTextElement {
  label.style.unicodeBidi = "plaintext";
  if (label.textContent !== name) label.append(draw("title", {}, name));
  return label;
}

/** A row's sum: a bar beside its number. */
function bar(x: number, y: number, value: number, width: number, colours: Palette): SVGElement[] {
  return [
    draw("rect", { x, y, width, height: 6, rx: 3, fill: colours.line }),
    draw("rect", { x, y, width: Math.min(value, 1) * width, height: 6, rx: 3, fill: colours.quiet }),
    draw("text", { x: x + width + 6, y: y + 8, "font-size": 11, fill: colours.quiet }, value.toFixed(2)),
  ];
}

/** Below each column, how much it was looked at in all. */
function columnSums(look: Weights, at: Geometry, colours: Palette): SVGElement[] {
  const sums = coverage(look);
  const most = Math.max(1, ...sums);
  const y = at.top + look.weights.length * at.size + 8;
  const parts = sums.map((value, cell) => {
    const height = Math.max((value / most) * 34, 0.5);
    const box = { x: at.left + cell * at.size + 2.5, y, width: at.size - 5, height, rx: 1.5, fill: colours.quiet };
    const made = draw("rect", box);
    made.append(draw("title", {}, `column sum ${value.toFixed(2)}`));
    return made;
  });
  const label = { x: at.left - 8, y: y + 10, "text-anchor": "end", "font-size": 11, fill: colours.quiet };
  return [...parts, draw("text", label, "sum")];
}

function goldMarks(look: Weights, gold: Gold | null, at: Geometry, colours: Palette): SVGElement[] {
  if (!gold) return [];
  const [cells, steps] = [unspecial(look.memory), unspecial(look.steps)];
  const sure = new Set(gold.sure.map(String));
  return gold.possible.flatMap((link) => {
    const [cell, step] = [cells[link[0]], steps[link[1]]];
    if (cell === undefined || step === undefined) return [];
    const box = { x: at.left + cell * at.size + 2.5, y: at.top + step * at.size + 2.5, rx: 2 };
    const line = sure.has(String(link)) ? {} : { "stroke-dasharray": "3 2" };
    const width = at.size - 5;
    return [draw("rect", { ...box, width, height: width, fill: "none", stroke: colours.mark, "stroke-width": 2, ...line })];
  });
}

function goldOf(panel: Panel): Gold | null {
  const gold = panel.entry.trace.gold?.[panel.name] ?? null;
  // A person's links are between words.
  return panel.store.settings.unit === "word" || !hasWords(panel.tokens.look) ? gold : null;
}

function legend({ reading, store, sides }: Panel, gold: Gold | null): HTMLElement {
  const { scale } = store.settings;
  const colours = palette();
  const colour = heat(colours);
  const shades = Array.from({ length: 12 }, (_, step) =>
    draw("rect", { x: step * 10, width: 10, height: 10, fill: colour(step / 11) }),
  );
  const ramp = draw("svg", { width: 120, height: 10, "aria-hidden": "true" }, ...shades);
  const most = scale === "row" ? "strongest of the row" : "1";
  const parts: (Node | string)[] = [make("span", {}, "0 ", ramp, ` ${most}`), make("span", {}, "○ strongest of its row")];
  if (sides.steps) parts.push(make("span", {}, "rows: ", isolated(sides.steps)));
  if (sides.cells) parts.push(make("span", {}, "columns: ", isolated(sides.cells)));
  if (gold) {
    const rate = alignmentErrorRate(links(reading.look as Weights), gold);
    parts.push(make("span", {}, "□ a person’s link, dashed where only possible"));
    if (rate !== null) parts.push(make("span", { class: "figure" }, `alignment error rate ${rate.toFixed(3)}`));
  }
  return make("p", { class: "legend" }, ...parts);
}

customElements.define("attend-matrix", Matrix);
