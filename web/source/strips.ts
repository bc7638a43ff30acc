// One figure a word: how sure the model was, how spread out it looked, how much each word was looked at in all.

import { isolated, make } from "./elements";
import { framed, steered, View } from "./view";
import { coverage, neverAttended, spread, stepLogProbs, NEAR_UNIFORM, type Weights } from "./trace";

interface Strip {
  name: string;
  about: string;
  kind: "step" | "cell";
  names: string[];
  values: number[];
  /** What is written under a bar's name where something is odd about it. */
  odd: (index: number) => string;
  most: number;
}

export class Strips extends View {
  private columns: { kind: "step" | "cell"; index: number; element: HTMLElement }[] = [];
  private lit: HTMLElement[] = [];

  protected draw(): void {
    this.columns = [];
    this.lit = [];
    const body = make("div", { class: "strips" }, ...this.strips().map((strip) => this.strip(strip)));
    this.append(framed("Strips", [], body));
    steered(body, this.panel, "Probability, spread and coverage of each word", { step: "horizontal", cell: "vertical" });
  }

  private strips(): Strip[] {
    const { entry, reading } = this.panel;
    const look = reading.look as Weights;
    const logs = stepLogProbs(entry.trace, reading);
    const even = look.weights.map(spread);
    const covered = coverage(look);
    const unread = new Set(neverAttended(look));
    const found: Strip[] = [];
    if (logs) {
      const values = logs.map(Math.exp);
      const odd = (index: number) => (values[index] < 0.5 ? "unsure" : "");
      found.push({ name: "Probability", about: "of each output", kind: "step", names: reading.steps, values, odd, most: 1 });
    }
    const odd = (index: number) => (even[index] >= NEAR_UNIFORM ? "near-uniform" : "");
    const spreads = { name: "Spread", about: "entropy of each look, as a share of the greatest", values: even };
    found.push({ ...spreads, kind: "step", names: reading.steps, odd, most: 1 });
    const never = (index: number) => (unread.has(index) ? "never attended" : "");
    const sums = { name: "Coverage", about: "how much each was looked at in all", values: covered };
    found.push({ ...sums, kind: "cell", names: reading.cells, odd: never, most: Math.max(1, ...covered) });
    return found;
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
        make("span", { class: "bar-name" }, isolated(name)),
        make("span", { class: "odd-mark", "aria-hidden": "true" }, odd ? "!" : ""),
      );
      const place = strip.kind === "step" ? { step: index, cell: -1 } : { step: -1, cell: index };
      column.addEventListener("pointerenter", () => store.light(place));
      column.addEventListener("pointerleave", () => store.light({ step: -1, cell: -1 }));
      column.addEventListener("click", () => store.togglePin(place));
      this.columns.push({ kind: strip.kind, index, element: column });
      return column;
    });
    const head = make("p", { class: "strip-head" }, make("strong", {}, strip.name), ` ${strip.about}`);
    return make("div", { class: "strip" }, head, make("div", { class: "bars" }, ...columns));
  }

  override light(): void {
    for (const element of this.lit) element.classList.remove("here");
    const { step, cell } = this.place;
    this.lit = this.columns
      .filter(({ kind, index }) => index === (kind === "step" ? step : cell))
      .map(({ element }) => element);
    for (const element of this.lit) element.classList.add("here");
  }
}

customElements.define("attend-strips", Strips);
