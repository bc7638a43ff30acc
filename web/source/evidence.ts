// Beside where the model looked: what its output depends on.

import { aim } from "./act";
import { difference, heat, palette } from "./colour";
import { button, draw, isolated, make, scrolling, type Child } from "./elements";
import { figure, framed, steered, View } from "./view";
import { rankCorrelation, sum, type Evidence as Form, type Weights } from "./trace";

export const SENTENCE = "Attention shows where the model read, not why.";
const MOST_ROWS = 80;
// Of a picture's cells, which maps show, the table has the foremost.
const MOST_GRID_ROWS = 12;
const MAP = 160;
const LEAST_NATS = 0.1;

export class Why extends View {
  private body = make("div", { class: "why" });
  private drawn = -2;

  protected draw(): void {
    this.drawn = -2;
    const { entry, act } = this.panel;
    const { evidence } = entry.trace;
    this.body = make("div", { class: "why" });
    const lead = make("p", { class: "lead" }, SENTENCE);
    if (!evidence || evidence.look !== this.panel.name) {
      const ask = button("Find out what the output depends on", () => act.why(this.panel));
      const can = act.canExplain(entry);
      const byHand = Object.keys(entry.ask?.weights ?? {}).length > 0;
      const { look } = this.panel.reading;
      const each = look.kind === "weights" && look.memory.kind === "grid" ? "Cover each part of the picture" : "Leave each word out";
      const text = can
        ? `${each} in turn, follow the gradient back to it, and make the attention another one.`
        : byHand
          ? "A row of this attention was set by hand: what the output depends on is told of the model's own."
          : "What else the output depends on is not in this trace; a served model can be asked for it.";
      this.append(framed("Why?", [], lead, make("p", { class: "quiet" }, text), ...(can ? [ask] : [])));
      return;
    }
    this.append(framed("Why?", [], lead, this.body, this.interventions(evidence)));
    steered(this.body, this.panel, "Attention beside attributions", { step: "horizontal", cell: "vertical" });
  }

  /** An attribution in the unit shown: what pieces of words owe to one another adds up. */
  private inUnit(values: number[][], step: number): number[] {
    const { reading } = this.panel;
    return reading.cellTokens.map((cells) => sum(reading.stepTokens[step].map((row) => sum(cells.map((cell) => values[row][cell])))));
  }

  override light(): void {
    const { entry, reading } = this.panel;
    const { evidence } = entry.trace;
    if (!evidence || evidence.look !== this.panel.name) return;
    const { step: aimed } = aim(this.panel);
    const step = aimed >= 0 && aimed < reading.steps.length ? aimed : 0;
    if (step !== this.drawn) {
      this.drawn = step;
      this.body.replaceChildren(...this.table(evidence, step));
    }
    const rows = this.body.querySelectorAll("tbody tr");
    rows.forEach((row) => row.classList.toggle("here", Number((row as HTMLElement).dataset.cell) === this.place.cell));
  }

  private table(evidence: Form, step: number): Child[] {
    const { reading, store } = this.panel;
    const look = reading.look as Weights;
    const methods = Object.entries(evidence.attributions);
    const columns: [string, number[]][] = [
      ["attention", look.weights[step]],
      ...methods.map(([name, values]): [string, number[]] => [name, this.inUnit(values, step)]),
    ];
    // All attributions are drawn to one scale, and what is next to nothing is not drawn large.
    const owed = Math.max(LEAST_NATS, ...columns.slice(1).flatMap(([, values]) => values.map(Math.abs)));
    const greatest = columns.map(([, values], index) => (index ? owed : Math.max(1e-9, ...values)));
    const grid = look.memory.kind === "grid" ? look.memory : null;
    const all = reading.cells.map((_, cell) => cell);
    const weight = (cell: number) => Math.max(...columns.map(([, values], index) => Math.abs(values[cell]) / greatest[index]));
    const told = grid ? all.sort((a, b) => weight(b) - weight(a)).slice(0, MOST_GRID_ROWS) : all.slice(0, MOST_ROWS);
    const rows = told.map((cell) => {
      const name = reading.cells[cell];
      const cells = columns.map(([, values], index) => make("td", {}, bar(values[cell], greatest[index], index > 0)));
      const row = make("tr", { "data-cell": cell }, make("th", { scope: "row" }, isolated(name)), ...cells);
      row.addEventListener("pointerenter", () => store.light({ step, cell }));
      return row;
    });
    const correlated = methods.map(([name, values]) => {
      const found = reading.steps.flatMap((_, index) => {
        const rank = rankCorrelation(look.weights[index], this.inUnit(values, index).map(Math.abs));
        return rank === null ? [] : [rank];
      });
      return `${name} ${found.length ? (sum(found) / found.length).toFixed(2) : "-"}`;
    });
    const head = make("tr", {}, make("td", {}), ...columns.map(([name]) => make("th", { scope: "col" }, name)));
    return [
      make("p", { class: "quiet" }, "For ", isolated(`“${reading.steps[step]}”`), ": attributions in nats, to the left what is against it; half a bar is ", owed.toFixed(2), ". Their rank correlation with attention, over all steps: ", correlated.join(", "), "."),
      ...(grid ? [this.maps(columns, greatest, grid.columns, step)] : []),
      scrolling("Attributions", true, make("table", { class: "why-table" }, make("thead", {}, head), make("tbody", {}, ...rows))),
    ];
  }

  /** For each column what it gives to every cell of a picture, as the picture lies. */
  private maps(columns: [string, number[]][], greatest: number[], across: number, step: number): HTMLElement {
    const colours = palette();
    const [full, signed] = [heat(colours), difference(colours)];
    const { store, reading } = this.panel;
    return make(
      "div",
      { class: "maps" },
      ...columns.map(([name, values], index) => {
        const side = MAP / across;
        const cells = values.map((value, cell) => {
          const share = value / greatest[index];
          const place = { x: (cell % across) * side, y: Math.floor(cell / across) * side, width: side - 1, height: side - 1 };
          const box = draw("rect", { ...place, fill: index ? signed(share) : full(share) });
          box.append(draw("title", {}, `${reading.cells[cell]}: ${figure(value)}`));
          box.addEventListener("pointerenter", () => store.light({ step, cell }));
          return box;
        });
        const height = Math.ceil(values.length / across) * side;
        const picture = draw("svg", { width: MAP, height, viewBox: `0 0 ${MAP} ${height}`, role: "img", "aria-label": `${name} of each cell` }, ...cells);
        return make("figure", {}, picture, make("figcaption", { class: "quiet" }, name));
      }),
    );
  }

  private interventions(evidence: Form): HTMLElement {
    const { trace } = this.panel.entry;
    const own = trace.scores ? sum(trace.scores) : null;
    const row = (attention: string, output: string, logProb: number | null) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, attention),
        make("td", {}, isolated(output)),
        make("td", { class: "figure" }, logProb === null ? "" : figure(logProb)),
      );
    const rows = evidence.interventions.map((changed) => row(`made ${changed.attention}`, changed.output, changed.log_prob));
    const head = make("tr", {}, ...["attention", "it writes", "log p of this output"].map((name) => make("th", { scope: "col" }, name)));
    const body = make("tbody", {}, row("its own", trace.output, own), ...rows);
    return scrolling("Other attention", false, make("table", { class: "plain-table" }, make("thead", {}, head), body));
  }
}

/** A bar; where some values are below zero, to the right for what speaks for and to the left for what speaks against. */
function bar(value: number, greatest: number, signed: boolean): HTMLElement {
  const fill = make("span", { class: value < 0 ? "fill against" : "fill" });
  const share = (Math.abs(value) / greatest) * (signed ? 50 : 100);
  fill.style.width = `${share.toFixed(1)}%`;
  fill.style.left = `${(signed ? (value < 0 ? 50 - share : 50) : 0).toFixed(1)}%`;
  const rail = make("span", { class: signed ? "signed both" : "signed" }, fill);
  return make("span", { class: "measured" }, rail, make("span", { class: "figure" }, figure(value)));
}

customElements.define("attend-why", Why);
