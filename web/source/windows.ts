// Windows of glimpses or filter banks in an image, step by step, and the patch under each.

import { draw, isolated, make, pictured, scrolling, FONT } from "./elements";
import { LIGHT, palette, type Palette } from "./colour";
import { figure as asFigure, framed, saving, steered, View } from "./view";
import { player, type Player } from "./player";
import { figures, type Figures } from "./table";
import { alternativesAt, pictureOf, proportions, visible, windowsAStep, type Alternative, type Windows } from "./trace";

const SIDE = 420;
const PATCH = 132;
const MARGIN = 0.06;
const LIKELIEST = 3;

export class Glimpses extends View {
  private boxes: SVGGElement[] = [];
  private patch = make("div", { class: "patch" });
  private shown = -1;
  private player: Player | null = null;
  private figures: Figures | null = null;

  protected draw(): void {
    const { store, reading } = this.panel;
    this.shown = -1;
    this.figures = this.settings.table ? this.table() : null;
    if (this.figures) {
      this.append(framed("Windows", [], scrolling("Table of windows", false, this.figures.element)));
      return;
    }
    this.patch = make("div", { class: "patch" });
    const stage = make("div", { class: "stage" });
    const picture = this.drawing(palette(), true);
    stage.append(picture);
    this.boxes.forEach((box, step) => {
      box.addEventListener("pointerenter", () => store.light({ step, cell: -1 }));
      box.addEventListener("click", () => store.togglePin({ step, cell: -1 }));
    });
    const side = make("div", { class: "patch-side" }, make("p", { class: "quiet" }, "What it saw there"), this.patch);
    this.player = player(this.panel);
    const body = make("div", { class: "picture-body" }, make("div", {}, stage, this.player.element), side);
    this.append(framed("Windows", [saving("windows", () => this.drawing(LIGHT, false))], body));
    steered(stage, this.panel, `${reading.steps.length} windows in the image`, { step: "horizontal", cell: "none" });
  }

  private drawing(colours: Palette, live: boolean): SVGSVGElement {
    const { entry, reading } = this.panel;
    const look = reading.look as Windows;
    // Windows may reach over the image's edge.
    const reach = Math.max(1, ...look.centre.map(([x, y], step) => Math.max(Math.abs(x) + look.extent[step][0] / 2, Math.abs(y) + look.extent[step][1] / 2)));
    const half = Math.min(reach, 2) + MARGIN;
    const picture = pictureOf(entry.trace, this.panel.name, 0);
    const [wide, high] = proportions(picture);
    const [width, height] = [SIDE * Math.min(wide / high, 1), SIDE * Math.min(high / wide, 1)];
    const [across, down] = [width / (2 * half), height / (2 * half)];
    const at = (x: number, y: number): [number, number] => [(x + half) * across, (y + half) * down];
    const box = (x: number, y: number, wide: number, high: number) => ({ x: at(x, y)[0], y: at(x, y)[1], width: wide * across, height: high * down });
    const edge = box(-1, -1, 2, 2);
    const parts: SVGElement[] = [draw("rect", { width, height, fill: colours.paper }), draw("rect", { ...edge, fill: colours.empty })];
    if (picture) parts.push(pictured(picture, edge));
    parts.push(draw("rect", { ...edge, fill: "none", stroke: colours.quiet }));
    // The scales of a step share one place, which is one stop of the path with one number.
    const scales = windowsAStep(entry.trace, reading);
    const stops = look.centre.filter((_, step) => step % scales === 0).map(([x, y]) => at(x, y));
    const path = stops.map(([x, y], stop) => `${stop ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    parts.push(draw("path", { d: path, fill: "none", stroke: "#ffffff", "stroke-width": 4, opacity: 0.8, "stroke-linejoin": "round" }));
    parts.push(draw("path", { d: path, fill: "none", stroke: colours.full === LIGHT.full ? colours.full : "#0f3d6b", "stroke-width": 1.75, "stroke-linejoin": "round" }));
    const boxes = look.centre.map(([x, y], step) => {
      const [wide, high] = look.extent[step];
      const frame = { ...box(x - wide / 2, y - high / 2, wide, high), rx: 2 };
      const [cx, cy] = at(x, y);
      const number = { x: cx, y: cy + 4, "text-anchor": "middle", "font-size": 11, "font-weight": 600, fill: "#0f3d6b" };
      return draw(
        "g",
        { class: "window" },
        draw("title", {}, `${reading.steps[step]}: scale ${look.scale[step]}`),
        draw("rect", { ...frame, class: "halo", fill: "none", stroke: "#ffffff", "stroke-width": 3.5, opacity: 0.75 }),
        draw("rect", { ...frame, class: "edge", fill: "none", stroke: "#0f3d6b", "stroke-width": 1.5, "pointer-events": "all" }),
        draw("circle", { cx, cy, r: 9, fill: "#ffffff", stroke: "#0f3d6b", class: "edge" }),
        draw("text", number, String(Math.floor(step / scales) + 1)),
      );
    });
    if (live) this.boxes = boxes;
    const frame = { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, role: "img", "aria-label": "Windows in the image" };
    return draw("svg", frame, ...parts, ...boxes);
  }

  /** The same in figures. */
  private table(): Figures {
    const { reading, store } = this.panel;
    const { centre, extent, scale } = reading.look as Windows;
    const columns: [string, (step: number) => string][] = [
      ["across", (step) => asFigure(centre[step][0])],
      ["down", (step) => asFigure(centre[step][1])],
      ["width", (step) => extent[step][0].toFixed(2)],
      ["height", (step) => extent[step][1].toFixed(2)],
      ["scale", (step) => String(scale[step])],
    ];
    const thought = (step: number) => this.likeliest(step).map(({ text, log_prob }) => `${visible(text)} ${Math.exp(log_prob).toFixed(2)}`);
    if (this.likeliest(0).length) columns.push(["then thought", (step) => thought(step).join(", ")]);
    const caption = "Windows: a row is a step; the image reaches from -1 to 1, across and down";
    const names = { rows: reading.steps, columns: columns.map(([name]) => name) };
    return figures(store, caption, names, (step, column) => isolated(columns[column][1](step)), false);
  }

  /** The likeliest classes after a step, if the trace has them. */
  private likeliest(step: number): Alternative[] {
    const { entry, reading } = this.panel;
    return likeliest(entry.trace.alternatives?.[alternativesAt(entry.trace, reading, step)]);
  }

  override light(): void {
    const { entry, reading } = this.panel;
    this.figures?.light();
    if (this.figures) return;
    const look = reading.look as Windows;
    const step = Math.min(Math.max(this.place.step, 0), reading.steps.length - 1);
    if (step === this.shown || step < 0) return;
    this.shown = step;
    this.player?.follow(step);
    this.boxes.forEach((box, index) => {
      box.classList.toggle("here", index === step);
      box.classList.toggle("later", index > step);
    });
    const figures = make("p", { class: "quiet figure" }, `${reading.steps[step]}: ${measures(look, step)}`);
    const picture = pictureOf(entry.trace, this.panel.name, step);
    this.patch.replaceChildren(...(picture ? seen(picture, look, step) : []), figures, ...thought("What it then thought", this.likeliest(step)));
  }
}

/** The input's picture of a model without attention, and its likeliest answers. */
export function unlooked(picture: string, answers: Alternative[] | undefined): HTMLElement {
  const [wide, high] = proportions(picture);
  const size = { width: SIDE * Math.min(wide / high, 1), height: SIDE * Math.min(high / wide, 1) };
  const frame = { ...size, viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": "The picture that was given" };
  const stage = make("div", { class: "stage" }, draw("svg", frame, pictured(picture, size)));
  return make("div", { class: "picture-body whole" }, stage, make("div", { class: "patch-side" }, ...thought("What it thought", likeliest(answers))));
}

function likeliest(choices: Alternative[] | undefined): Alternative[] {
  return [...(choices ?? [])].sort((a, b) => b.log_prob - a.log_prob).slice(0, LIKELIEST);
}

function thought(head: string, likely: Alternative[]): HTMLElement[] {
  if (!likely.length) return [];
  const rows = likely.map((choice) => {
    const fill = make("span", { class: "fill" });
    fill.style.width = `${(Math.exp(choice.log_prob) * 100).toFixed(1)}%`;
    const name = make("span", { class: "name" }, isolated(visible(choice.text)));
    return make("div", { class: "thought" }, name, make("span", { class: "rail" }, fill), make("span", { class: "figure" }, Math.exp(choice.log_prob).toFixed(2)));
  });
  return [make("p", { class: "quiet" }, head), ...rows];
}

/** A window's centre and size. */
export function measures(look: Windows, step: number): string {
  const [[x, y], [width, height]] = [look.centre[step], look.extent[step]];
  return `${width.toFixed(2)} × ${height.toFixed(2)} at ${asFigure(x)}, ${asFigure(y)}; scale ${look.scale[step]}`;
}

/** The patch under a step's window; nothing if the window has no width or height. */
export function seen(picture: string, look: Windows, step: number): SVGSVGElement[] {
  const [[x, y], [width, height]] = [look.centre[step], look.extent[step]];
  if (width <= 0 || height <= 0) return [];
  const [wide, high] = proportions(picture);
  const tall = (PATCH * height * high) / (width * wide);
  const part = `${x - width / 2} ${y - height / 2} ${width} ${height}`;
  const view = { width: PATCH, height: tall, viewBox: part, preserveAspectRatio: "none", role: "img", "aria-label": "What the window saw" };
  return [draw("svg", view, pictured(picture, { x: -1, y: -1, width: 2, height: 2 }))];
}

customElements.define("attend-windows", Glimpses);
