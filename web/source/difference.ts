// Two traces of one input: where one looked more, and where the other did.

import { draw, FONT, make, scrolling, shorten, textWidth } from "./elements";
import { difference, LIGHT, palette, type Palette } from "./colour";
import type { Panel } from "./panel";
import { BOTH, type Place } from "./store";
import { figures, type Figures } from "./table";
import { briefly, hasWords, ranking, type Weights } from "./trace";
import { framed, quoted, saving, steered } from "./view";

const TEXT = 13;
const SIZE = 22;
const MOST = 120;

/** Why two panels can't be compared, or null. */
export function incomparable(first: Panel, second: Panel): string | null {
  const [a, b] = [first.reading, second.reading];
  if (a.look.kind !== "weights" || b.look.kind !== "weights") return "windows are compared by eye, above";
  if (a.cells.length !== b.cells.length || a.cells.some((name, cell) => name !== b.cells[cell])) {
    const same = first.entry.trace.input === second.entry.trace.input;
    if (!same) return "they look at different inputs";
    const words = [first, second].some((panel) => hasWords(panel.tokens.look)) && first.store.settings.unit === "token";
    return `they cut the input into different pieces${words ? ": choose “words” above" : ""}`;
  }
  if (Math.max(a.cells.length, a.steps.length) > MOST) return `only up to ${MOST} steps and cells are drawn`;
  return null;
}

export class Difference extends HTMLElement {
  private at: Geometry | null = null;
  private lit: SVGGElement | null = null;
  private panels: [Panel, Panel] | null = null;
  private figures: Figures | null = null;

  show(first: Panel, second: Panel): this {
    const problem = incomparable(first, second);
    if (problem) {
      this.replaceChildren(framed("Difference", [], make("p", { class: "quiet" }, `There is no difference to draw: ${problem}.`)));
      return this;
    }
    this.panels = [first, second];
    this.at = geometry(first, second);
    const legend = make(
      "p",
      { class: "legend" },
      make("span", {}, "+ the second looked more"),
      make("span", {}, "− the first looked more"),
      make("span", { class: "figure" }, `mean distance ${meanDistance(first, second).toFixed(3)} of 1`),
    );
    if (first.store.settings.table) {
      this.figures = this.table();
      this.replaceChildren(framed("Difference", [], scrolling("Table of differences", false, this.figures.element), legend));
      return this;
    }
    const drawing = (colours: Palette) => picture(first, second, colours);
    const shown = drawing(palette());
    const body = make("div", { class: "scroll" }, shown);
    this.lit = draw("g", { "pointer-events": "none" });
    shown.append(this.lit);
    this.point(shown, first, this.at);
    this.replaceChildren(framed("Difference", [saving("difference", () => drawing(LIGHT))], body, legend));
    steered(body, first, "Difference of the two matrices", { step: "vertical", cell: "horizontal" }, BOTH);
    return this;
  }

  private point(shown: SVGSVGElement, first: Panel, at: Geometry): void {
    const place = (event: MouseEvent) => {
      const box = shown.getBoundingClientRect();
      const step = Math.floor((event.clientY - box.top - at.top) / SIZE);
      const cell = Math.floor((event.clientX - box.left - at.left) / SIZE);
      return { step: step >= 0 && step < at.names.length ? step : -1, cell: cell >= 0 && cell < first.reading.cells.length ? cell : -1 };
    };
    shown.addEventListener("pointermove", (event) => first.store.light(place(event)));
    shown.addEventListener("pointerleave", () => first.store.light({ step: -1, cell: -1 }));
    shown.addEventListener("click", (event) => {
      const found = place(event);
      if (found.step >= 0 || found.cell >= 0) first.store.togglePin(found);
    });
  }

  /** As a table. */
  private table(): Figures {
    const [first] = this.panels!;
    const [a, b] = this.weights();
    const told = (step: number, cell: number) => signed(b[step][cell] - a[step][cell]);
    const caption = "The second's weights less the first's: a row is a step, a column a cell";
    return figures(first.store, caption, { rows: this.at!.names, columns: first.reading.cells }, told);
  }

  private weights(): number[][][] {
    return this.panels!.map((panel) => (panel.reading.look as Weights).weights);
  }

  /** A place in both, described in words. */
  summary({ step, cell }: Place): { text: string; quiet: string } {
    const names = this.at?.names[step];
    if (!this.panels || names === undefined) return { text: "", quiet: "" };
    const { cells } = this.panels[0].reading;
    const [one, other] = this.weights().map((weights) => weights[step]);
    const more = (sign: number) => {
      const by = cells.map((_, index) => sign * (other[index] - one[index]));
      return ranking(by).map((index) => `${quoted(cells[index])} by ${by[index].toFixed(2)}`).join(", ") || "nothing";
    };
    const quiet = cells[cell] === undefined ? "" : `${quoted(cells[cell])} ${one[cell].toFixed(3)} in the first, ${other[cell].toFixed(3)} in the second`;
    return { text: `At ${quoted(names)} the second looks more at ${more(1)}; the first at ${more(-1)}`, quiet };
  }

  /** Highlight the place in focus and the pinned ones. */
  light(): void {
    this.figures?.light();
    if (!this.at || !this.lit || !this.panels) return;
    const { left, top, names } = this.at;
    const { reading, store } = this.panels[0];
    const colours = palette();
    const outline = (place: Place, stroke: string, width: number) => {
      if (place.step >= names.length || (place.step < 0 && place.cell < 0)) return [];
      const box = { x: left + Math.max(place.cell, 0) * SIZE, y: top + Math.max(place.step, 0) * SIZE };
      const [across, down] = [place.cell < 0 ? reading.cells.length : 1, place.step < 0 ? names.length : 1];
      return [draw("rect", { ...box, width: across * SIZE, height: down * SIZE, fill: "none", stroke, "stroke-width": width, rx: 2 })];
    };
    const { step, cell } = store.focus;
    const focus = [{ step, cell: -1 }, { step: -1, cell }].flatMap((place) => outline(place, colours.ink, 1.5));
    this.lit.replaceChildren(...focus, ...store.settings.pins.flatMap((pin) => outline(pin, colours.mark, 2.5)));
  }
}

/** With its sign, a plain hyphen as in the figures beside it; zero has none. */
function signed(value: number): string {
  const text = value.toFixed(3);
  return /^-?0\.000$/.test(text) ? "0.000" : value > 0 ? `+${text}` : text;
}

/** Where everything stands in the picture, in pixels, and the names of its rows. */
interface Geometry {
  left: number;
  top: number;
  names: string[];
}

function geometry(first: Panel, second: Panel): Geometry {
  const steps = Math.min(first.reading.steps.length, second.reading.steps.length);
  const names = Array.from({ length: steps }, (_, step) => {
    const [one, other] = [first.reading.steps[step], second.reading.steps[step]];
    return one === other ? one : `${one} | ${other}`;
  });
  const widest = (texts: string[], most: number) => Math.min(Math.max(20, ...texts.map((text) => textWidth(text, TEXT))), most);
  const cells = briefly((first.reading.look as Weights).memory, first.reading.cells);
  return { left: Math.ceil(widest(names, 180)) + 12, top: Math.ceil(widest(cells, 150) * 0.82) + 20, names };
}

/** The mean total variation distance of the steps' weights, from 0 to 1. */
function meanDistance(first: Panel, second: Panel): number {
  const [a, b] = [first, second].map((panel) => (panel.reading.look as Weights).weights);
  const steps = Math.min(a.length, b.length);
  let total = 0;
  for (let step = 0; step < steps; step++) a[step].forEach((weight, cell) => (total += Math.abs(weight - b[step][cell]) / 2));
  return steps ? total / steps : 0;
}

function picture(first: Panel, second: Panel, colours: Palette): SVGSVGElement {
  const [a, b] = [first, second].map((panel) => (panel.reading.look as Weights).weights);
  const cells = briefly((first.reading.look as Weights).memory, first.reading.cells);
  const { left, top, names } = geometry(first, second);
  const size = SIZE;
  const colour = difference(colours);
  const [width, height] = [left + cells.length * size + 90, top + names.length * size + 8];
  const parts: SVGElement[] = [draw("rect", { width, height, fill: colours.paper })];
  cells.forEach((name, cell) => {
    const turn = `translate(${left + (cell + 0.5) * size + 4} ${top - 8}) rotate(-55)`;
    parts.push(draw("text", { transform: turn, "font-size": TEXT, fill: colours.ink }, shorten(name, TEXT, 150)));
  });
  names.forEach((name, step) => {
    const y = top + step * size;
    const label = { x: left - 8, y: y + size / 2 + 4.5, "text-anchor": "end", "font-size": TEXT, fill: colours.ink };
    parts.push(draw("text", label, shorten(name, TEXT, 180)));
    a[step].forEach((weight, cell) => {
      const more = b[step][cell] - weight;
      const x = left + cell * size;
      const box = draw("rect", { x: x + 0.5, y: y + 0.5, width: size - 1, height: size - 1, rx: 1.5, fill: colour(more) });
      box.append(draw("title", {}, `${name}, ${cells[cell]}: ${weight.toFixed(3)} and ${b[step][cell].toFixed(3)}`));
      parts.push(box);
      if (Math.abs(more) < 0.1) return;
      const sign = { x: x + size / 2, y: y + size / 2 + 4.5, "text-anchor": "middle", "font-size": 13, "pointer-events": "none" };
      parts.push(draw("text", { ...sign, fill: Math.abs(more) > 0.5 ? colours.paper : colours.ink }, more > 0 ? "+" : "−"));
    });
  });
  const frame = { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, role: "img" };
  return draw("svg", { ...frame, "aria-label": "Difference of two matrices" }, ...parts);
}

customElements.define("attend-difference", Difference);
