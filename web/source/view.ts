// What all views share: their base class, their frame, and keyboard navigation.

import { button, make, type Child } from "./elements";
import { saveView } from "./save";
import type { Panel } from "./panel";
import type { Place } from "./store";
import { writes } from "./trace";

export abstract class View extends HTMLElement {
  panel!: Panel;

  show(panel: Panel): this {
    this.panel = panel;
    this.replaceChildren();
    this.draw();
    for (const section of this.querySelectorAll("section.view")) numbered(section, panel);
    this.light();
    return this;
  }

  protected abstract draw(): void;

  /** Show the places in focus and pinned. Called many times a second, so it redraws nothing else. */
  light(): void {}

  get place(): Place {
    const { focus, settings } = this.panel.store;
    return focus.step < 0 && focus.cell < 0 && settings.pins.length ? settings.pins[settings.pins.length - 1] : focus;
  }

  get settings() {
    return this.panel.store.settings;
  }
}

/** A view's frame: title, controls and body. */
export function framed(title: string, controls: Child[], ...body: Child[]): HTMLElement {
  return make(
    "section",
    { class: "view", "aria-label": title },
    make("header", { class: "view-head" }, make("h2", {}, title), ...controls),
    ...body,
  );
}

/** Where there are several traces, a frame's name says whose it is. */
function numbered(section: Element, panel: Panel): void {
  const name = section.getAttribute("aria-label");
  if (panel.store.entries.length > 1) section.setAttribute("aria-label", `${name}, trace ${panel.index + 1}`);
}

/** The buttons that save a picture. */
export function saving(name: string, picture: () => SVGSVGElement): HTMLElement {
  return make(
    "span",
    { class: "save", role: "group", "aria-label": `Save the ${name}` },
    button("SVG", () => void saveView(picture(), name, "svg"), { class: "plain" }),
    button("PNG", () => void saveView(picture(), name, "png"), { class: "plain" }),
  );
}

/**
 * Let the keyboard move through the steps and cells of a view. `step` and `cell` say which arrows move along which, or
 * with "none" that the view has none to move through; `speaker` whose weights are spoken.
 */
export function steered(
  element: HTMLElement | SVGElement,
  panel: Panel,
  label: string,
  along: { step: "vertical" | "horizontal" | "none"; cell: "vertical" | "horizontal" | "none" },
  speaker: number = panel.index,
): void {
  element.setAttribute("tabindex", "0");
  element.setAttribute("role", "application");
  element.setAttribute("aria-label", `${label}. Arrow keys move, Enter pins, Escape unpins, question mark lists the keys.`);
  const { store } = panel;
  const steps = along.step === "none" ? 0 : panel.reading.steps.length;
  const cells = along.cell === "none" ? 0 : panel.reading.cells.length;
  const here = () => ({
    step: steps ? Math.max(store.focus.step, 0) : -1,
    cell: cells ? Math.max(store.focus.cell, 0) : -1,
  });
  element.addEventListener("focus", () => {
    store.speaker = speaker;
    if (steps ? store.focus.step < 0 : cells && store.focus.cell < 0) store.light(here(), true);
  });
  element.addEventListener("keydown", (happened) => {
    const event = happened as KeyboardEvent;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const place = here();
    // In a text that is written from right to left, the left is onwards.
    const onwards = getComputedStyle(element).direction === "rtl" ? -1 : 1;
    const move = (axis: "vertical" | "horizontal", by: number) => {
      if (along.step === axis) place.step = Math.min(Math.max(place.step + by, 0), steps - 1);
      else if (along.cell === axis) place.cell = Math.min(Math.max(place.cell + by, 0), cells - 1);
    };
    switch (event.key) {
      case "ArrowUp":
        move("vertical", -1);
        break;
      case "ArrowDown":
        move("vertical", 1);
        break;
      case "ArrowLeft":
        move("horizontal", -onwards);
        break;
      case "ArrowRight":
        move("horizontal", onwards);
        break;
      case "Home":
        move(along.cell === "none" ? "vertical" : "horizontal", -Infinity);
        move(along.step === "horizontal" ? "horizontal" : "vertical", along.cell === "none" ? -Infinity : 0);
        break;
      case "End":
        move(along.cell === "none" ? "vertical" : "horizontal", Infinity);
        move(along.step === "horizontal" ? "horizontal" : "vertical", along.cell === "none" ? Infinity : 0);
        break;
      case "PageUp":
        if (steps) place.step = Math.max(place.step - 10, 0);
        break;
      case "PageDown":
        if (steps) place.step = Math.min(place.step + 10, steps - 1);
        break;
      case "Enter":
      case " ":
        event.preventDefault();
        store.togglePin(place);
        return;
      case "Escape":
        store.unpin();
        return;
      default:
        if (panel.act.key(event.key, panel)) event.preventDefault();
        return;
    }
    event.preventDefault();
    store.light(place, true);
  });
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** To two digits, without "-0.00". */
export function figure(value: number): string {
  return value.toFixed(2).replace(/^-(0\.00)$/, "$1");
}

/** A name in quotes; one that is written from right to left does not take the figures beside it along. */
export function quoted(name: string): string {
  return RIGHT_TO_LEFT.test(name) ? `\u2068“${name}”\u2069` : `“${name}”`;
}

/** A place described in words, for the bar below the sentences and for screen readers. */
export function summary(panel: Panel, place: Place, rank: (weights: number[]) => number[]): { text: string; quiet: string } {
  const { reading } = panel;
  const { look, steps, cells } = reading;
  const step = steps[place.step];
  if (look.kind === "windows") {
    if (step === undefined) return { text: "", quiet: "" };
    const [x, y] = look.centre[place.step];
    const [width, height] = look.extent[place.step];
    const does = writes(panel.name, panel.entry.trace) ? "writes" : "looks";
    const where = `${quoted(step)} ${does} at ${figure(x)}, ${figure(y)}`;
    return { text: where, quiet: `window ${width.toFixed(2)} by ${height.toFixed(2)}, scale ${look.scale[place.step]}` };
  }
  const named = (names: string[], weights: number[]) =>
    rank(weights)
      .map((index) => `${quoted(names[index])} ${weights[index].toFixed(2)}`)
      .join(", ") || "nothing";
  if (step !== undefined) {
    const row = look.weights[place.step];
    const all = `${quoted(step)} reads ${named(cells, row)}`;
    const cell = cells[place.cell];
    const one = cell === undefined ? "" : `${quoted(cell)} ${row[place.cell].toFixed(3)}`;
    return { text: all, quiet: one };
  }
  if (cells[place.cell] !== undefined) {
    const weights = look.weights.map((row) => row[place.cell]);
    return { text: `${quoted(cells[place.cell])} is read by ${named(steps, weights)}`, quiet: "" };
  }
  return { text: "", quiet: "" };
}
