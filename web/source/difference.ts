// Two traces of one input: where one looked more, and where the other did.

import { draw, FONT, make, scrolling, shorten, textWidth } from "./elements";
import { difference, LIGHT, palette, type Palette } from "./colour";
import { framed, saving, type Panel } from "./view";
import type { Weights } from "./trace";

const TEXT = 13;
const MOST = 120;

/** Why two panels can't be held against each other, or null. */
export function incomparable(first: Panel, second: Panel): string | null {
  const [a, b] = [first.reading, second.reading];
  if (a.look.kind !== "weights" || b.look.kind !== "weights") return "windows are compared by eye, above";
  if (a.cells.length !== b.cells.length || a.cells.some((name, cell) => name !== b.cells[cell])) {
    return "they look at different inputs";
  }
  if (Math.max(a.cells.length, a.steps.length) > MOST) return `only up to ${MOST} steps and cells are drawn`;
  return null;
}

export class Difference extends HTMLElement {
  show(first: Panel, second: Panel): this {
    const problem = incomparable(first, second);
    if (problem) {
      this.replaceChildren(framed("Difference", [], make("p", { class: "quiet" }, `There is no difference to draw: ${problem}.`)));
      return this;
    }
    const drawing = (colours: Palette) => picture(first, second, colours);
    const legend = make(
      "p",
      { class: "legend" },
      make("span", {}, "+ the second looked more"),
      make("span", {}, "− the first looked more"),
      make("span", { class: "figure" }, `mean distance ${meanDistance(first, second).toFixed(3)} of 1`),
    );
    const body = scrolling("Difference of the two matrices", false, drawing(palette()));
    this.replaceChildren(framed("Difference", [saving("difference", () => drawing(LIGHT))], body, legend));
    return this;
  }
}

/** Half the sum of absolute differences of each step's weights, on average: 0 if they are alike, 1 if they never meet. */
function meanDistance(first: Panel, second: Panel): number {
  const [a, b] = [first, second].map((panel) => (panel.reading.look as Weights).weights);
  const steps = Math.min(a.length, b.length);
  let total = 0;
  for (let step = 0; step < steps; step++) a[step].forEach((weight, cell) => (total += Math.abs(weight - b[step][cell]) / 2));
  return steps ? total / steps : 0;
}

function picture(first: Panel, second: Panel, colours: Palette): SVGSVGElement {
  const [a, b] = [first, second].map((panel) => (panel.reading.look as Weights).weights);
  const { cells } = first.reading;
  const steps = Math.min(a.length, b.length);
  const names = Array.from({ length: steps }, (_, step) => {
    const [one, other] = [first.reading.steps[step], second.reading.steps[step]];
    return one === other ? one : `${one} | ${other}`;
  });
  const size = 22;
  const left = Math.ceil(Math.min(Math.max(20, ...names.map((name) => textWidth(name, TEXT))), 180)) + 12;
  const top = Math.ceil(Math.min(Math.max(20, ...cells.map((name) => textWidth(name, TEXT))), 150) * 0.82) + 20;
  const colour = difference(colours);
  const [width, height] = [left + cells.length * size + 90, top + steps * size + 8];
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
