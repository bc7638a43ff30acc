// Weights over the cells of an image, for each word.

import { choice, draw, make, button, pictured, FONT } from "./elements";
import { LIGHT, palette } from "./colour";
import { framed, saving, steered, View } from "./view";
import { player, type Player } from "./player";
import { pictureOf, strongest, type Weights } from "./trace";

const SIDE = 420;
const SMALL = 84;
const MOST_SMALL = 60;

type Grid = { kind: "grid"; rows: number; columns: number };

export class Overlay extends View {
  private stage = make("div", { class: "stage" });
  private small: HTMLElement[] = [];
  private shown = -1;
  private player: Player | null = null;

  protected draw(): void {
    const { store, reading } = this.panel;
    const look = reading.look as Weights;
    this.shown = -1;
    this.stage = make("div", { class: "stage" });
    const smooth = choice(
      "Overlay",
      [
        ["grid", "grid"],
        ["smooth", "smooth"],
      ] as const,
      this.settings.smooth ? "smooth" : "grid",
      (value) => store.change({ smooth: value === "smooth" }, false),
    );
    const slider = make("input", { type: "range", min: 0, max: 100, step: 10, value: this.settings.dark });
    slider.addEventListener("change", () => store.change({ dark: Number(slider.value) }, false));
    const dark = make("label", { class: "slider" }, "darkness ", slider);
    this.small = look.weights.slice(0, MOST_SMALL).map((_, step) => {
      const made = button("", () => store.togglePin({ step, cell: -1 }), { class: "small", tabindex: -1 });
      made.append(this.drawing(step, SMALL, palette().ink), make("span", { dir: "auto" }, reading.steps[step]));
      made.addEventListener("pointerenter", () => store.light({ step, cell: -1 }));
      return made;
    });
    const save = saving("picture", () => {
      const picture = this.drawing(Math.max(this.shown, 0), SIDE, LIGHT.ink);
      picture.setAttribute("font-family", FONT);
      return picture;
    });
    const note = "Dark is what the word did not look at; the strongest cell is outlined.";
    const all = make("div", { class: "smalls" }, ...this.small);
    this.player = player(this.panel);
    const body = make("div", { class: "picture-body" }, make("div", {}, this.stage, this.player.element), all);
    this.append(framed("Picture", [dark, smooth, save], body, make("p", { class: "legend" }, make("span", {}, note))));
    this.point();
    steered(this.stage, this.panel, "The picture under each word’s look", { step: "horizontal", cell: "none" });
  }

  /** Pointing at a cell highlights it in the other views; the step stays. */
  private point(): void {
    const { store, reading } = this.panel;
    const { rows, columns } = (reading.look as Weights).memory as Grid;
    const place = (event: MouseEvent) => {
      const box = this.stage.querySelector("svg")!.getBoundingClientRect();
      const [column, row] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      if (column < 0 || column >= 1 || row < 0 || row >= 1) return null;
      return { step: this.shown, cell: Math.floor(row * rows) * columns + Math.floor(column * columns) };
    };
    this.stage.addEventListener("pointermove", (event) => {
      const found = place(event);
      if (found) store.light(found);
    });
    this.stage.addEventListener("pointerleave", () => store.light({ step: this.shown, cell: -1 }));
    this.stage.addEventListener("click", (event) => {
      const found = place(event);
      if (found) store.togglePin(found);
    });
  }

  private drawing(step: number, side: number, ink: string): SVGSVGElement {
    const { entry, reading } = this.panel;
    const look = reading.look as Weights;
    const { rows, columns } = look.memory as Grid;
    const [width, height] = columns >= rows ? [side, (side * rows) / columns] : [(side * columns) / rows, side];
    const weights = look.weights[step];
    const best = strongest(weights);
    const most = this.settings.scale === "absolute" || best < 0 ? 1 : weights[best];
    const darkest = this.settings.dark / 100;
    const parts: SVGElement[] = [];
    const picture = pictureOf(entry.trace, this.panel.name, this.panel.reading.stepTokens[step]?.[0] ?? step);
    if (picture) {
      parts.push(pictured(picture, { width, height }));
    } else {
      parts.push(draw("rect", { width, height, fill: "#f4f2ed" }));
    }
    const [cellWidth, cellHeight] = [width / columns, height / rows];
    if (this.settings.smooth) {
      const image = { href: mask(weights, rows, columns, most, darkest), width, height, preserveAspectRatio: "none" };
      parts.push(draw("image", image));
    } else {
      weights.forEach((weight, cell) => {
        const [x, y] = [(cell % columns) * cellWidth, Math.floor(cell / columns) * cellHeight];
        const opacity = (darkest * (1 - Math.min(weight / most, 1))).toFixed(3);
        parts.push(draw("rect", { x, y, width: cellWidth + 0.3, height: cellHeight + 0.3, fill: "#0b0d10", opacity }));
      });
    }
    if (best >= 0) {
      const [x, y] = [(best % columns) * cellWidth, Math.floor(best / columns) * cellHeight];
      const box = { x: x + 1, y: y + 1, width: Math.max(cellWidth - 2, 2), height: Math.max(cellHeight - 2, 2), fill: "none" };
      const thick = side > SMALL ? 2.5 : 1.25;
      parts.push(draw("rect", { ...box, stroke: "#ffffff", "stroke-width": thick + 1.5 }));
      parts.push(draw("rect", { ...box, stroke: "#d0500c", "stroke-width": thick, ...(look.hard ? {} : { "stroke-dasharray": "5 3" }) }));
    }
    const label = `What “${reading.steps[step]}” looked at`;
    const frame = { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, color: ink };
    return draw("svg", frame, ...parts);
  }

  /** The cell in focus, if there is one. */
  private outline(cell: number): void {
    const picture = this.stage.querySelector("svg")!;
    picture.querySelector(".cell-here")?.remove();
    const { rows, columns } = (this.panel.reading.look as Weights).memory as Grid;
    if (cell < 0 || cell >= rows * columns) return;
    const [width, height] = [picture.viewBox.baseVal.width / columns, picture.viewBox.baseVal.height / rows];
    const at = { x: (cell % columns) * width, y: Math.floor(cell / columns) * height, width, height };
    picture.append(draw("rect", { ...at, class: "cell-here", fill: "none", stroke: "#ffffff", "stroke-width": 2 }));
  }

  override light(): void {
    const { reading } = this.panel;
    const step = Math.min(Math.max(this.place.step, 0), reading.steps.length - 1);
    if (step < 0) return;
    if (step !== this.shown) {
      this.shown = step;
      this.player?.follow(step);
      this.stage.replaceChildren(this.drawing(step, SIDE, palette().ink));
      this.small.forEach((made, index) => made.classList.toggle("here", index === step));
    }
    this.outline(this.place.cell);
  }
}

/** One step's weights as a small dark mask, which the browser scales up smoothly. */
function mask(weights: number[], rows: number, columns: number, most: number, darkest: number): string {
  const canvas = make("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d")!;
  const pixels = context.createImageData(columns, rows);
  weights.forEach((weight, cell) => {
    pixels.data.set([11, 13, 16, Math.round(255 * darkest * (1 - Math.min(weight / most, 1)))], 4 * cell);
  });
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}

customElements.define("attend-picture", Overlay);
