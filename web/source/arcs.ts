// Arcs between cells and steps: for each step the strongest, up to a chosen share of its weight.

import { curve, draw, FONT, make, shorten, textWidth } from "./elements";
import { LIGHT, palette, type Palette } from "./colour";
import { framed, saving, steered, View } from "./view";
import { answers, harmless, isSpecial, size, type Weights } from "./trace";

const ROW = 24;
const TEXT = 14;
const WIDEST = 180;
// With more arcs than this only those of the step in focus are drawn: all would be unreadable, and slow.
const MOST_ARCS = 1000;

interface Arc {
  step: number;
  cell: number;
  weight: number;
}

export class Arcs extends View {
  private paths: { arc: Arc; path: SVGPathElement }[] = [];
  private names: { kind: "step" | "cell"; index: number; text: SVGTextElement }[] = [];
  private strays: SVGGElement | null = null;
  private width = 600;

  protected draw(): void {
    const { store, reading } = this.panel;
    const slider = make("input", { type: "range", min: 10, max: 100, step: 5, value: this.settings.mass });
    const shown = make("output", {}, `${this.settings.mass} %`);
    slider.addEventListener("input", () => (shown.textContent = `${slider.value} %`));
    slider.addEventListener("change", () => store.change({ mass: Number(slider.value) }, false));
    const control = make("label", { class: "slider" }, "weight shown ", slider, " ", shown);
    const ends = make("input", { type: "checkbox" });
    ends.checked = this.settings.special;
    ends.addEventListener("change", () => store.change({ special: ends.checked }, false));
    const special = this.hasSpecial() ? [make("label", { class: "check" }, ends, " special tokens")] : [];
    this.width = Math.min(Math.max(this.clientWidth - 2, 280), 640);
    const body = make("div", { class: "scroll tall" });
    const picture = this.drawing(palette(), this.width, true);
    body.append(picture);
    this.append(framed("Arcs", [control, ...special, saving("arcs", () => this.drawing(LIGHT, 640, false))], body));
    const { sides } = this.panel;
    const [cells, steps] = [sides.cells ? `cells of ${sides.cells}` : "cells", sides.steps ? `of ${sides.steps}` : "steps"];
    const label = `Arcs between ${reading.cells.length} ${cells} and ${reading.steps.length} ${steps}`;
    steered(body, this.panel, label, { step: "vertical", cell: "none" });
  }

  private drawing(colours: Palette, width: number, live: boolean): SVGSVGElement {
    const { steps, cells } = this.panel.reading;
    const { sides, ofInput } = this.panel;
    const widest = (names: string[]) => Math.min(Math.max(20, ...names.map((name) => textWidth(name, TEXT))), WIDEST, width * 0.3);
    const [left, right] = [widest(cells) + 14, width - widest(steps) - 14];
    const rows = Math.max(steps.length, cells.length);
    const height = rows * ROW + 28;
    // The shorter side is centred on the longer one.
    const y = (index: number, count: number) => 28 + (index + 0.5 + (rows - count) / 2) * ROW;
    const arcs = this.arcs();
    const path = (arc: Arc) => curve([left, y(arc.cell, cells.length)], [right, y(arc.step, steps.length)]);
    const line = (arc: Arc) => {
      const look = { d: path(arc), fill: "none", stroke: colours.full, "stroke-linecap": "round" };
      return draw("path", { ...look, "stroke-width": (0.75 + 5 * arc.weight).toFixed(2), opacity: (0.18 + 0.72 * arc.weight).toFixed(2) });
    };
    const whole = arcs.length <= MOST_ARCS;
    const paths = whole ? arcs.map((arc) => ({ arc, path: line(arc) })) : [];
    const name = (kind: "step" | "cell", index: number, text: string) => {
      const x = kind === "cell" ? left - 8 : right + 8;
      const at = { x, y: y(index, kind === "cell" ? cells.length : steps.length) + 5 };
      const anchor = { "text-anchor": kind === "cell" ? "end" : "start", "font-size": TEXT, fill: colours.ink };
      const label = draw("text", { ...at, ...anchor }, shorten(text, TEXT, kind === "cell" ? left - 14 : width - right - 14));
      label.style.unicodeBidi = "plaintext";
      return { kind, index, text: label };
    };
    const names = [...cells.map((text, cell) => name("cell", cell, text)), ...steps.map((text, step) => name("step", step, text))];
    const head = (x: number, text: string) => {
      return draw("text", { x, y: 14, "text-anchor": x ? "end" : "start", "font-size": 12, fill: colours.quiet }, shorten(text, 12, width / 2 - 8));
    };
    const called = (what: string, name: string | undefined) => (name === undefined ? what : `${what}: ${harmless(name)}`);
    const written = answers(this.panel.entry.trace) ? "answered" : "written";
    const heads = [head(0, called("looked at", sides.cells)), head(width, ofInput ? called("looking", sides.steps) : written)];
    const strays = draw("g");
    const frame = { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, role: "img", "aria-label": "Arcs" };
    const picture = draw("svg", frame, draw("rect", { width, height, fill: colours.paper }), ...heads);
    picture.append(...paths.map(({ path }) => path), strays, ...names.map(({ text }) => text));
    if (live) {
      [this.paths, this.names] = [paths, names];
      this.strays = whole ? null : strays;
      this.point(picture, names);
      this.drawStrays = (step) => strays.replaceChildren(...arcs.filter((arc) => arc.step === step).map(line));
    }
    return picture;
  }

  private drawStrays: (step: number) => void = () => {};

  private point(picture: SVGSVGElement, names: { kind: "step" | "cell"; index: number; text: SVGTextElement }[]): void {
    const { store } = this.panel;
    for (const { kind, index, text } of names) {
      const place = kind === "step" ? { step: index, cell: -1 } : { step: -1, cell: index };
      text.addEventListener("pointerenter", () => store.light(place));
      text.addEventListener("click", () => store.togglePin(place));
      text.style.cursor = "pointer";
    }
    for (const { arc, path } of this.paths) {
      const place = { step: arc.step, cell: arc.cell };
      path.addEventListener("pointerenter", () => store.light(place));
      path.addEventListener("click", () => store.togglePin(place));
      path.style.cursor = "pointer";
    }
    picture.addEventListener("pointerleave", () => store.light({ step: -1, cell: -1 }));
  }

  private hasSpecial(): boolean {
    const look = this.panel.reading.look as Weights;
    return [look.steps, look.memory].some((axis) => Array.from({ length: size(axis) }, (_, index) => index).some((index) => isSpecial(axis, index)));
  }

  private arcs(): Arc[] {
    const look = this.panel.reading.look as Weights;
    const { special } = this.settings;
    const hidden = (arc: Arc) => !special && (isSpecial(look.steps, arc.step) || isSpecial(look.memory, arc.cell));
    const mass = this.settings.mass / 100;
    return look.weights.flatMap((row, step) => {
      const order = row.map((weight, cell) => ({ step, cell, weight })).sort((a, b) => b.weight - a.weight);
      const found: Arc[] = [];
      let shown = 0;
      for (const arc of order) {
        if (arc.weight <= 0 || shown >= mass - 1e-9) break;
        if (!hidden(arc)) found.push(arc);
        shown += arc.weight;
      }
      return found;
    });
  }

  override light(): void {
    const { step, cell } = this.place;
    const some = step >= 0 || cell >= 0;
    // An arc in focus is a step and a cell: it alone is lit, as a step lights all of its own.
    const both = step >= 0 && cell >= 0 && this.paths.some(({ arc }) => arc.step === step && arc.cell === cell);
    const has = (arc: Arc) => (both ? arc.step === step && arc.cell === cell : step >= 0 ? arc.step === step : arc.cell === cell);
    const touched = new Set<string>();
    for (const { arc, path } of this.paths) {
      const lit = !some || has(arc);
      path.classList.toggle("faded", !lit);
      if (some && lit) touched.add(`step ${arc.step}`).add(`cell ${arc.cell}`);
    }
    if (step >= 0) touched.add(`step ${step}`);
    else if (cell >= 0) touched.add(`cell ${cell}`);
    if (this.strays) this.drawStrays(step);
    else for (const { kind, index, text } of this.names) text.classList.toggle("faded", some && !touched.has(`${kind} ${index}`));
  }
}

customElements.define("attend-arcs", Arcs);
