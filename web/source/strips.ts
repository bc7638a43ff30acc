// Bars for each word: probability, entropy of the prediction and of the weights, and coverage.

import { sheet, written } from "./chart";
import { LIGHT } from "./colour";
import { draw, isolated, make, scrolling, shorten, textWidth } from "./elements";
import { framed, saving, steered, View } from "./view";
import { coverage, neverAttended, spread, stepEntropies, stepLogProbs, NEAR_UNIFORM, type Weights } from "./trace";

// More bars than this stand close together, without their names.
const MANY = 100;
// Of the picture that is saved, in pixels.
const MARGIN = 16;
const TALL = 64;
const WIDEST_NAME = 90;

interface Strip {
  name: string;
  about: string;
  kind: "step" | "cell";
  names: string[];
  values: number[];
  /** What is written under a bar's name where something is odd about it. */
  odd: (index: number) => string;
  most: number;
  named: boolean;
}

export class Strips extends View {
  private columns: Record<"step" | "cell", HTMLElement[][]> = { step: [], cell: [] };
  private lit: HTMLElement[] = [];

  protected draw(): void {
    this.columns = { step: [], cell: [] };
    this.lit = [];
    if (this.settings.table) {
      this.append(framed("Strips", [], make("div", { class: "side-by-side" }, ...this.tables())));
      return;
    }
    const body = make("div", { class: "strips" }, ...this.strips().map((strip) => this.strip(strip)));
    this.append(framed("Strips", [saving("strips", () => this.drawing())], body));
    steered(body, this.panel, "Probability, spread and coverage of each word", { step: "horizontal", cell: "vertical" });
  }

  private strips(): Strip[] {
    const { entry, reading } = this.panel;
    const look = reading.look as Weights;
    const logs = stepLogProbs(entry.trace, reading);
    const entropies = stepEntropies(entry.trace, reading);
    const even = look.weights.map(spread);
    const steps = { kind: "step" as const, names: reading.steps, named: reading.steps.length <= MANY };
    const covered = coverage(look);
    const unread = new Set(neverAttended(look));
    const found: Strip[] = [];
    if (logs) {
      const values = logs.map(Math.exp);
      const odd = (index: number) => (values[index] < 0.5 ? "unsure" : "");
      found.push({ name: "Probability", about: "of each output", ...steps, values, odd, most: 1 });
    }
    if (entropies) {
      const most = Math.max(1, ...entropies);
      const about = `entropy of what could stand here, in nats; a full bar is ${most.toFixed(1)}`;
      found.push({ name: "Doubt", about, ...steps, values: entropies, odd: () => "", most });
    }
    const odd = (index: number) => (even[index] >= NEAR_UNIFORM ? "near-uniform" : "");
    const spreads = { name: "Spread", about: "entropy of each look, as a share of the greatest", values: even };
    found.push({ ...spreads, ...steps, odd, most: 1 });
    const never = (index: number) => (unread.has(index) ? "never attended" : "");
    const sums = { name: "Coverage", about: "how much each was looked at in all", values: covered };
    const named = look.memory.kind !== "grid" && reading.cells.length <= MANY;
    found.push({ ...sums, kind: "cell", names: reading.cells, odd: never, most: Math.max(1, ...covered), named });
    return found;
  }

  /** The same in figures: a table of the steps, and one of the cells. */
  private tables(): HTMLElement[] {
    const all = this.strips();
    return (["step", "cell"] as const).map((kind) => {
      const strips = all.filter((strip) => strip.kind === kind);
      const head = make("tr", {}, make("td", {}), ...strips.map(({ name }) => make("th", { scope: "col" }, name)));
      const rows = strips[0].names.map((name, index) => {
        const figures = strips.map(({ values, odd }) => make("td", {}, [values[index].toFixed(3), odd(index)].filter(Boolean).join(", ")));
        return make("tr", {}, make("th", { scope: "row" }, isolated(name)), ...figures);
      });
      const caption = make("caption", { class: "spoken" }, strips.map(({ name, about }) => `${name}: ${about}`).join("; "));
      const table = make("table", { class: "plain-table figures" }, caption, make("thead", {}, head), make("tbody", {}, ...rows));
      const { sides, ofInput } = this.panel;
      const looking = ofInput ? `Figures of ${sides.steps ?? "each row"}` : "Figures of each output";
      return scrolling(kind === "step" ? looking : `Figures of ${sides.cells ?? "what was looked at"}`, true, table);
    });
  }

  private drawing(): SVGSVGElement {
    const parts: SVGElement[] = [];
    let [y, right] = [MARGIN, 0];
    for (const { name, about, names, values, odd, most, named } of this.strips()) {
      const head = written(MARGIN, y + 13, "", { fill: LIGHT.quiet });
      head.append(draw("tspan", { "font-weight": 600, fill: LIGHT.ink }, name), ` ${about}`);
      parts.push(head);
      const top = y + 32;
      let x = MARGIN;
      values.forEach((value, index) => {
        const width = named ? Math.min(Math.max(textWidth(names[index], 12), 14), WIDEST_NAME) + 10 : 4;
        const [bar, strange] = [Math.min(width - 1, 22), odd(index)];
        const [tall, left] = [Math.min(value / most, 1) * TALL, x + (width - bar) / 2];
        parts.push(draw("rect", { x: left, y: top, width: bar, height: TALL, fill: LIGHT.empty }));
        parts.push(draw("rect", { x: left, y: top + TALL - tall, width: bar, height: tall, fill: strange ? LIGHT.mark : LIGHT.full }));
        const middle = { "text-anchor": "middle", "font-size": 12 };
        if (strange) parts.push(written(x + width / 2, top - 3, "!", { ...middle, fill: LIGHT.mark, "font-weight": 600 }));
        if (named) parts.push(written(x + width / 2, top + TALL + 15, shorten(names[index], 12, WIDEST_NAME), middle));
        x += width;
      });
      right = Math.max(right, x, MARGIN + textWidth(`${name} ${about}`, 13.5));
      y = top + TALL + (named ? 36 : 18);
    }
    const note = "! is what is odd: unsure, near-uniform or never attended";
    parts.push(written(MARGIN, y + 8, note, { fill: LIGHT.quiet }));
    return sheet("Strips", Math.ceil(Math.max(right, MARGIN + textWidth(note, 13)) + MARGIN), y + 8 + MARGIN, parts);
  }

  private strip(strip: Strip): HTMLElement {
    const { store } = this.panel;
    const columns = strip.names.map((name, index) => {
      const value = strip.values[index];
      const odd = strip.odd(index);
      const fill = make("span", { class: odd ? "fill odd" : "fill" });
      fill.style.height = `${(Math.min(value / strip.most, 1) * 100).toFixed(1)}%`;
      const column = make(
        "span",
        { class: "bar", title: `${name}: ${value.toFixed(3)}${odd ? `, ${odd}` : ""}` },
        make("span", { class: "rail" }, fill),
        ...(strip.named ? [make("span", { class: "bar-name" }, isolated(name))] : []),
        make("span", { class: "odd-mark", "aria-hidden": "true" }, odd ? "!" : ""),
      );
      const place = strip.kind === "step" ? { step: index, cell: -1 } : { step: -1, cell: index };
      column.addEventListener("pointerenter", () => store.light(place));
      column.addEventListener("pointerleave", () => store.light({ step: -1, cell: -1 }));
      column.addEventListener("click", () => store.togglePin(place));
      (this.columns[strip.kind][index] ??= []).push(column);
      return column;
    });
    const head = make("p", { class: "strip-head" }, make("strong", {}, strip.name), ` ${strip.about}`);
    return make("div", { class: "strip" }, head, make("div", { class: strip.named ? "bars" : "bars close" }, ...columns));
  }

  override light(): void {
    for (const element of this.lit) element.classList.remove("here", "pinned");
    const { step, cell } = this.place;
    const at = (place: { step: number; cell: number }) => [...(this.columns.step[place.step] ?? []), ...(this.columns.cell[place.cell] ?? [])];
    const here = at({ step, cell });
    const pinned = this.settings.pins.flatMap(at);
    for (const element of pinned) element.classList.add("pinned");
    for (const element of here) element.classList.add("here");
    this.lit = [...here, ...pinned];
  }
}

customElements.define("attend-strips", Strips);
