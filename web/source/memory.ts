// Heads over memory slots through time: maps side by side, the stages of a step's weights, and the memory after it.

import { draw, FONT, make, scrolling, shorten, type Attributes } from "./elements";
import { bits, heat, LIGHT, palette, type Palette } from "./colour";
import { framed, saving, steered, View } from "./view";
import { player, type Player } from "./player";
import { answeredAt, describe, rowNames, rowsOf, slotsOf, strips, type Head, type Slots } from "./slots";
import { figures, type Figures } from "./table";
import { proportions, strongest } from "./trace";

const [TEXT, SMALL] = [13, 11];
const [LABEL, STRIP, GAP, TITLE, TIMES, STAGES] = [52, 15, 10, 24, 38, 56];
// A step, a slot and a bit are no larger, and no smaller.
const [LARGEST, SMALLEST] = [18, 1];
// How high all maps below one another may be, and a vector's bits; how wide the memory, and its title.
const [TALL, VECTOR, INSIDE, NAMED] = [640, 180, 150, 150];
// Maps are side by side where there is this much room.
const WIDE = 640;
const SAVED = 1200;

/** A head's map. */
interface Map {
  head: Head;
  left: number;
  top: number;
}
/** The rows of bits above a map. */
interface Rows {
  name: string;
  vectors: (number[] | null)[];
  left: number;
  top: number;
  height: number;
}
/** Where everything stands in the picture, in pixels. */
interface Geometry {
  maps: Map[];
  rows: Rows[];
  /** Of one step, and of one slot. */
  across: number;
  down: number;
  memory: { left: number; top: number; width: number; numbers: number } | null;
  width: number;
  height: number;
}

export class Memory extends View {
  private slots!: Slots;
  private at!: Geometry;
  private layer: SVGGElement | null = null;
  private told = make("p", { class: "figure" });
  private shown = -1;
  private player: Player | null = null;
  private figures: Figures | null = null;

  protected draw(): void {
    const { entry, store } = this.panel;
    this.slots = slotsOf(entry.trace)!;
    this.shown = -1;
    this.figures = this.settings.table ? this.table() : null;
    if (this.figures) {
      this.append(framed("Memory", [], scrolling("Table of heads", false, this.figures.element)));
      return;
    }
    this.at = geometry(this.slots, Math.max(this.clientWidth - 2, 280));
    const picture = this.base(this.at, palette());
    this.layer = draw("g");
    picture.append(this.layer);
    this.told = make("p", { class: "figure" });
    this.player = player(this.panel);
    const body = make("div", { class: "scroll" }, picture);
    const saved = saving("memory", () => {
      const at = geometry(this.slots, SAVED);
      const made = this.base(at, LIGHT);
      made.append(...this.step(at, this.shown, LIGHT));
      return made;
    });
    this.append(framed("Memory", [saved], this.player.element, this.told, body, legend(this.slots)));
    const place = (event: MouseEvent) => this.place_of(event, picture);
    picture.addEventListener("pointermove", (event) => {
      const found = place(event);
      if (found) store.light(found);
    });
    picture.addEventListener("pointerleave", () => store.light({ step: this.shown, cell: -1 }));
    picture.addEventListener("click", (event) => {
      const found = place(event);
      if (found) store.togglePin(found);
    });
    steered(body, this.panel, "Heads over memory slots through time", { step: "horizontal", cell: "none" });
  }

  /** The step, and on a map the slot, under the pointer. */
  private place_of(event: MouseEvent, picture: SVGSVGElement): { step: number; cell: number } | null {
    const box = picture.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { maps, rows, across, down } = this.at;
    const steps = this.slots.input.length;
    for (const { left, top, height } of [...maps.map((map) => ({ ...map, height: rowNames(this.slots).length * down })), ...rows]) {
      const step = Math.floor((x - left) / across);
      if (step < 0 || step >= steps || y < top || y >= top + height) continue;
      const slot = maps.some((map) => map.top === top && map.left === left) ? this.slots.shown[Math.floor((y - top) / down)] : undefined;
      return { step, cell: slot ?? -1 };
    }
    return null;
  }

  /** All that is the same at every step. */
  private base(at: Geometry, colours: Palette): SVGSVGElement {
    const { slots } = this;
    const steps = slots.input.length;
    const { across, down, maps, rows, memory } = at;
    const tall = rowNames(slots).length * down;
    const parts: SVGElement[] = [draw("rect", { width: at.width, height: at.height, fill: colours.paper })];
    for (const { name, vectors, left, top, height } of rows) {
      const size = vectors.find((vector) => vector)?.length ?? 1;
      const values = vectors.flatMap((vector) => vector ?? []);
      const [low, high] = [Math.min(0, ...values), Math.max(1, ...values)];
      const columns = vectors.map((vector) => vector?.map((value) => (value - low) / (high - low)) ?? null);
      parts.push(text(left, top - 7, name, colours.ink), bitmap(columns, size, bits(colours), { x: left, y: top, width: steps * across, height }));
      if (across >= 6) parts.push(grid(left, top, [steps, size], [across, height / size], colours.paper));
    }
    for (const { head, left, top } of maps) {
      const columns = head.weights.map((weights) => rowsOf(slots, weights));
      parts.push(text(left, top - 7, head.name, colours.ink));
      parts.push(bitmap(columns, rowNames(slots).length, heat(colours), { x: left, y: top, width: steps * across, height: tall }));
      parts.push(...apart(slots, left, top, steps * across, down, colours), ...named(slots, left, top, down, colours));
      for (const step of ticks(steps, across)) parts.push(text(left + (step - 0.5) * across, top + tall + 14, String(step), colours.quiet, { "text-anchor": "middle", "font-size": SMALL }));
      parts.push(text(left + (steps * across) / 2, top + tall + 29, "step", colours.quiet, { "text-anchor": "middle", "font-size": SMALL }));
      const turned = { transform: `translate(${left - LABEL + 12} ${top + tall / 2}) rotate(-90)`, "text-anchor": "middle", "font-size": SMALL };
      parts.push(text(undefined, undefined, slots.unit, colours.quiet, turned));
    }
    if (memory) parts.push(...named(slots, memory.left, memory.top, down, colours, false));
    const frame = { width: at.width, height: at.height, viewBox: `0 0 ${at.width} ${at.height}`, "font-family": FONT, role: "img", "aria-label": "Heads over memory slots" };
    return draw("svg", frame, ...parts);
  }

  /** What belongs to a step: its outline, the stages of each head, and the memory after it. */
  private step(at: Geometry, step: number, colours: Palette): SVGElement[] {
    const { slots } = this;
    const { across, down, memory } = at;
    const count = rowNames(slots).length;
    const tall = count * down;
    const wide = slots.input.length * across;
    const parts: SVGElement[] = [];
    const start = answeredAt(slots);
    const outline = (left: number, top: number, height: number) => {
      parts.push(draw("rect", { class: "step-here", x: left + step * across, y: top, width: across, height, fill: "none", stroke: colours.mark, "stroke-width": across < 5 ? 1 : 2 }));
      // The output's beginning, seen above the outline of its first step.
      const x = left + start * across;
      if (start) parts.push(draw("line", { x1: x, x2: x, y1: top, y2: top + height, stroke: colours.ink, "stroke-width": 1.5, "stroke-dasharray": "3 3" }));
    };
    for (const { left, top, height } of at.rows) outline(left, top, height);
    for (const { head, left, top } of at.maps) {
      outline(left, top, tall);
      strips(head, step).forEach(([name, weights], index) => {
        const x = left + wide + GAP + index * STRIP;
        const turned = { transform: `translate(${x + STRIP / 2 + 3} ${top - 5}) rotate(-90)`, "font-size": SMALL, class: "stage-name" };
        parts.push(text(undefined, undefined, name, colours.mark, turned));
        const box = { x, y: top, width: STRIP - 2, height: tall };
        if (weights) parts.push(bitmap([rowsOf(slots, weights)], count, heat(colours), box), ...apart(slots, x, top, STRIP - 2, down, colours));
        else parts.push(draw("rect", { ...box, fill: "none", stroke: colours.line }));
      });
    }
    if (memory) {
      const { left, top, width, numbers } = memory;
      parts.push(text(left, top - 7, `memory after step ${step + 1}`, colours.mark));
      for (const [from, until] of runs(slots.shown)) {
        const [first, high] = [slots.shown[from], until - from];
        const view = { x: left, y: top + from * down, width, height: high * down, viewBox: `0 ${first} ${numbers} ${high}`, preserveAspectRatio: "none" };
        const whole = { href: slots.memory[step], width: numbers, height: slots.names.length, preserveAspectRatio: "none", "image-rendering": "pixelated" };
        parts.push(draw("svg", view, draw("image", whole)));
      }
      parts.push(...apart(slots, left, top, width, down, colours));
    }
    return parts;
  }

  /** The strongest slot of each head after each stage, by step. */
  private table(): Figures {
    const { slots } = this;
    const columns = slots.kinds.flat().flatMap((head) => {
      const stages: [string, number[][]][] = head.stages.map(([stage, rows]) => [`${head.name}: ${stage}`, rows]);
      return [...stages, [head.name, head.weights] as [string, number[][]]];
    });
    const names = { rows: slots.input.map((_, step) => describe(slots, step)), columns: columns.map(([name]) => name) };
    const caption = "Heads: a row is a step; the strongest slot of each head after each stage, and its weight";
    return figures(this.panel.store, caption, names, (step, column) => at(slots, columns[column][1][step]), false);
  }

  override light(): void {
    this.figures?.light();
    if (this.figures || !this.layer) return;
    const { slots } = this;
    const steps = slots.input.length;
    // Where nothing is in focus, the step that was; at first that of the output, or the middle where it is there from the start.
    const kept = this.shown < 0 ? answeredAt(slots) || Math.floor(steps / 2) : this.shown;
    const step = this.place.step < 0 ? kept : Math.min(this.place.step, steps - 1);
    if (step === this.shown) return;
    this.shown = step;
    this.player?.follow(step);
    this.layer.replaceChildren(...this.step(this.at, step, palette()));
    const where = slots.kinds.flat().map((head) => `${head.name} at ${at(slots, head.weights[step])}`);
    this.told.textContent = `${describe(slots, step)}: ${where.join(", ")}`;
  }
}

/** The strongest slot and its weight: "slot 12 (0.98)". */
function at(slots: Slots, weights: number[]): string {
  const best = strongest(weights);
  return best < 0 ? "nowhere" : `${slots.unit} ${slots.names[best]} (${weights[best].toFixed(2)})`;
}

function geometry(slots: Slots, width: number): Geometry {
  const { kinds, memory } = slots;
  const steps = slots.input.length;
  const side = width >= WIDE;
  const staged = Math.max(...kinds.flat().map((head) => strips(head, 0).length));
  const beside = staged ? GAP + staged * STRIP : 0;
  const numbers = memory.length ? proportions(memory[0])[0] : 0;
  const inside = Math.min(LARGEST, INSIDE / Math.max(numbers, 1)) * numbers;
  const room = numbers ? LABEL + Math.max(inside, NAMED) : 0;
  const limited = (value: number) => Math.min(Math.max(value, SMALLEST), LARGEST);
  const fixed = LABEL + beside + GAP;
  const across = limited(side ? ((width - room) / kinds.length - fixed) / steps : (width - fixed) / steps);
  const pairs = Math.max(...kinds.map((heads) => heads.length));
  const down = limited(TALL / (pairs * rowNames(slots).length));
  const tall = rowNames(slots).length * down;
  const above = Object.entries({ input: slots.input, output: slots.output });
  const sizes = above.map(([, vectors]) => vectors.find((vector) => vector)?.length ?? 1);
  const bit = Math.min(Math.max(across, LARGEST / 2), VECTOR / Math.max(...sizes));
  const apart = tall + TIMES + Math.max(TITLE, staged ? STAGES : 0);
  const maps: Map[] = [];
  const rows: Rows[] = [];
  // One kind has all rows of bits above it; of two each has its own.
  const owned = kinds.map((_, kind) => (kinds.length === 1 ? [0, 1] : kind < 2 ? [kind] : []));
  const heights = owned.map((own) => own.reduce((sum, index) => sum + TITLE + sizes[index] * bit, 0));
  const highest = Math.max(...heights, staged ? STAGES : 0);
  let [top, lowest] = [0, 0];
  kinds.forEach((heads, kind) => {
    const left = LABEL + (side ? kind * (fixed + steps * across) : 0);
    const first = top + (side ? highest : Math.max(heights[kind], staged ? STAGES - TITLE : 0)) + TITLE;
    let bottom = first - TITLE;
    for (const index of [...owned[kind]].reverse()) {
      const height = sizes[index] * bit;
      rows.push({ name: above[index][0], vectors: above[index][1], left, top: bottom - height, height });
      bottom -= height + TITLE;
    }
    heads.forEach((head, place) => maps.push({ head, left, top: first + place * apart }));
    lowest = Math.max(lowest, first + (heads.length - 1) * apart + tall + TIMES);
    if (!side) top = lowest;
  });
  const right = (side ? kinds.length : 1) * (fixed + steps * across);
  let place: Geometry["memory"] = null;
  if (numbers) {
    place = { left: LABEL + (side ? right : 0), top: side ? maps[0].top : lowest + TITLE, width: inside, numbers };
    lowest = Math.max(lowest, place.top + slots.shown.length * down + GAP);
  }
  return { maps, rows, across, down, memory: place, width: Math.max(right + (side ? room : 0), side ? 0 : room), height: lowest };
}

/** The names of slots left of a map, as many as there is room for. */
function named(slots: Slots, left: number, top: number, down: number, colours: Palette, all = true): SVGElement[] {
  const names = rowNames(slots).slice(0, all ? undefined : slots.shown.length);
  const every = Math.ceil(12 / down);
  const last = names.length - 1;
  const other = last === slots.shown.length;
  const there = names.flatMap((_, row) => ((row % every === 0 && !(other && last - row < every)) || (other && row === last) ? [row] : []));
  return there.map((row) => text(left - 6, top + (row + 0.5) * down + 4, shorten(names[row], SMALL, LABEL - 18), colours.quiet, { "text-anchor": "end", "font-size": SMALL }));
}

/** Numbers of steps, from 1, that are far enough from one another. */
function ticks(steps: number, across: number): number[] {
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((count) => count * across >= 26) ?? steps;
  return Array.from({ length: steps }, (_, step) => step + 1).filter((step) => step === 1 || step % every === 0);
}

/** Runs of neighbouring slots, as places in `shown`. */
function runs(shown: number[]): [number, number][] {
  const starts = shown.flatMap((slot, place) => (place && slot === shown[place - 1] + 1 ? [] : [place]));
  return starts.map((start, run) => [start, starts[run + 1] ?? shown.length]);
}

/** Lines where slots are left out. */
function apart(slots: Slots, left: number, top: number, width: number, down: number, colours: Palette): SVGElement[] {
  const gaps = [...runs(slots.shown).slice(1).map(([start]) => start), ...(slots.shown.length < slots.names.length ? [slots.shown.length] : [])];
  return gaps.map((row) => draw("line", { x1: left, x2: left + width, y1: top + row * down, y2: top + row * down, stroke: colours.paper, "stroke-width": 2 }));
}

function grid(left: number, top: number, [columns, rows]: number[], [across, down]: number[], colour: string): SVGElement {
  const upright = Array.from({ length: columns - 1 }, (_, column) => `M${left + (column + 1) * across} ${top}v${rows * down}`);
  const level = Array.from({ length: rows - 1 }, (_, row) => `M${left} ${top + (row + 1) * down}h${columns * across}`);
  return draw("path", { d: [...upright, ...level].join(""), stroke: colour, fill: "none" });
}

/** Values from 0 to 1, column by column, as one image; a column that is null is left out. */
function bitmap(columns: (number[] | null)[], rows: number, colour: (share: number) => string, box: Attributes): SVGElement {
  const canvas = make("canvas", { width: columns.length, height: rows });
  const context = canvas.getContext("2d")!;
  columns.forEach((values, x) => {
    values?.forEach((value, y) => {
      context.fillStyle = colour(value);
      context.fillRect(x, y, 1, 1);
    });
  });
  return draw("image", { href: canvas.toDataURL(), preserveAspectRatio: "none", "image-rendering": "pixelated", ...box });
}

function text(x: number | undefined, y: number | undefined, content: string, fill: string, more: Attributes = {}): SVGTextElement {
  return draw("text", { x, y, fill, "font-size": TEXT, ...more }, content);
}

function legend(slots: Slots): HTMLElement {
  const colour = heat(palette());
  const shades = Array.from({ length: 12 }, (_, step) => draw("rect", { x: step * 10, width: 10, height: 10, fill: colour(step / 11) }));
  const ramp = draw("svg", { width: 120, height: 10, "aria-hidden": "true" }, ...shades);
  const parts = [make("span", {}, "weight 0 ", ramp, " 1")];
  const left = slots.names.length - slots.shown.length;
  if (left) parts.push(make("span", {}, `${left} of ${slots.names.length} ${slots.unit}s never have a weight of 0.05 or more: other is their sum`));
  if (slots.memory.length) parts.push(make("span", {}, "memory: zero is grey, the largest number of all steps white, or black if below zero"));
  return make("p", { class: "legend" }, ...parts);
}

customElements.define("attend-memory", Memory);
