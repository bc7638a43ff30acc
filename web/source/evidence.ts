// What the output depends on: attributions and interventions beside attention.

import { aim } from "./act";
import { chart, type Column } from "./chart";
import { difference, heat, LIGHT, palette, type Palette } from "./colour";
import { button, draw, isolated, make, scrolling, type Child } from "./elements";
import { figure, framed, saving, steered, View } from "./view";
import { rankCorrelation, sum, type Evidence as Form, type Weights } from "./trace";

export const SENTENCE = "Attention shows where the model read, not why.";
const SCALE = "attributions in nats, to the left what is against it; half a bar is";
const MOST_ROWS = 80;
// For a picture, the maps show all cells, and the table only the strongest.
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
      // All that can be asked for is told of one look.
      const can = act.canExplain(entry) && !evidence;
      const byHand = Object.keys(entry.ask?.weights ?? {}).length > 0;
      const { look } = this.panel.reading;
      const each = look.kind === "weights" && look.memory.kind === "grid" ? "Cover each part of the picture" : "Leave each word out";
      const written = act.canAsk(entry) ? ", and make the attention another one" : "";
      const text = can
        ? `${each} in turn${written ? "," : " and"} follow the gradient back to it${written}.`
        : evidence
          ? `What the output depends on is told of the look “${evidence.look}”.`
          : byHand
          ? "A row of this attention was set by hand: what the output depends on is told of the model's own."
          : "What else the output depends on is not in this trace; a served model can be asked for it.";
      this.append(framed("Why?", [], lead, make("p", { class: "quiet" }, text), ...(can ? [ask] : [])));
      return;
    }
    // An answer that is given in one go is given again with no other attention.
    const other = evidence.interventions.length ? [scrolling("Other attention", false, this.interventions(evidence))] : [];
    const save = saving("attributions", () => this.drawing(evidence));
    this.append(framed("Why?", [save], lead, this.body, ...other));
    steered(this.body, this.panel, "Attention beside attributions", { step: "horizontal", cell: "vertical" });
  }

  /** An attribution in the unit shown: summed over the pieces of words. */
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

  /** What a step is told to depend on: attention and the attributions, of which cells, and how alike they are. */
  private columns(evidence: Form, step: number): { columns: Column[]; cells: number[]; correlated: string } {
    const { reading } = this.panel;
    const look = reading.look as Weights;
    const attributed = Object.entries(evidence.attributions).map(([name, values]): [string, number[]] => [name, this.inUnit(values, step)]);
    // All attributions are drawn to one scale, and what is next to nothing is not drawn large.
    const owed = Math.max(LEAST_NATS, ...attributed.flatMap(([, values]) => values.map(Math.abs)));
    const weights = look.weights[step];
    const columns: Column[] = [
      { name: "attention", values: weights, greatest: Math.max(1e-9, ...weights), signed: false, figure },
      ...attributed.map(([name, values]) => ({ name, values, greatest: owed, signed: true, figure })),
    ];
    const all = reading.cells.map((_, cell) => cell);
    const weight = (cell: number) => Math.max(...columns.map(({ values, greatest }) => Math.abs(values[cell]) / greatest));
    const foremost = () => all.sort((a, b) => weight(b) - weight(a)).slice(0, MOST_GRID_ROWS);
    const cells = look.memory.kind === "grid" ? foremost() : all.slice(0, MOST_ROWS);
    const correlated = Object.entries(evidence.attributions).map(([name, values]) => {
      const found = reading.steps.flatMap((_, index) => {
        const rank = rankCorrelation(look.weights[index], this.inUnit(values, index).map(Math.abs));
        return rank === null ? [] : [rank];
      });
      return `${name} ${found.length ? (sum(found) / found.length).toFixed(2) : "-"}`;
    });
    return { columns, cells, correlated: `Their rank correlation with attention, over all steps: ${correlated.join(", ")}.` };
  }

  private table(evidence: Form, step: number): Child[] {
    const { reading, store } = this.panel;
    const { columns, cells, correlated } = this.columns(evidence, step);
    const rows = cells.map((cell) => {
      const bars = columns.map((column) => make("td", {}, bar(column.values[cell], column.greatest, column.signed)));
      const row = make("tr", { "data-cell": cell }, make("th", { scope: "row" }, isolated(reading.cells[cell])), ...bars);
      row.addEventListener("pointerenter", () => store.light({ step, cell }));
      return row;
    });
    const head = make("tr", {}, make("td", {}), ...columns.map(({ name }) => make("th", { scope: "col" }, name)));
    const owed = columns[1].greatest.toFixed(2);
    const maps = this.maps(columns, palette(), step).map(([name, map]) => make("figure", {}, map, make("figcaption", { class: "quiet" }, name)));
    return [
      make("p", { class: "quiet" }, "For ", isolated(`“${reading.steps[step]}”`), `: ${SCALE} ${owed}. ${correlated}`),
      ...(maps.length && !this.settings.table ? [make("div", { class: "maps" }, ...maps)] : []),
      scrolling("Attributions", true, make("table", { class: "why-table" }, make("thead", {}, head), make("tbody", {}, ...rows))),
    ];
  }

  private drawing(evidence: Form): SVGSVGElement {
    const { reading } = this.panel;
    const step = Math.max(this.drawn, 0);
    const { columns, cells, correlated } = this.columns(evidence, step);
    const changed = this.changed(evidence).map(([attention, output, logProb]) => {
      return `With ${attention} attention it writes “${output}”${logProb === null ? "" : `; log p of this output ${figure(logProb)}`}`;
    });
    return chart("Attributions", {
      head: [SENTENCE, `For “${reading.steps[step]}”: ${SCALE} ${columns[1].greatest.toFixed(2)}.`, correlated],
      maps: this.maps(columns, LIGHT, step),
      names: cells.map((cell) => reading.cells[cell]),
      columns: columns.map((column) => ({ ...column, values: cells.map((cell) => column.values[cell]) })),
      foot: changed,
    });
  }

  /** For each column what it gives to every cell of a picture, as the picture lies; none where no picture was looked at. */
  private maps(columns: Column[], colours: Palette, step: number): [string, SVGSVGElement][] {
    const { store, reading } = this.panel;
    const { memory } = reading.look as Weights;
    if (memory.kind !== "grid") return [];
    const [full, towards] = [heat(colours), difference(colours)];
    const side = MAP / memory.columns;
    const height = memory.rows * side;
    return columns.map(({ name, values, greatest, signed }) => {
      const cells = values.map((value, cell) => {
        const share = value / greatest;
        const place = { x: (cell % memory.columns) * side, y: Math.floor(cell / memory.columns) * side, width: side - 1, height: side - 1 };
        const box = draw("rect", { ...place, fill: signed ? towards(share) : full(share) });
        box.append(draw("title", {}, `${reading.cells[cell]}: ${figure(value)}`));
        box.addEventListener("pointerenter", () => store.light({ step, cell }));
        return box;
      });
      const frame = { width: MAP, height, viewBox: `0 0 ${MAP} ${height}`, role: "img", "aria-label": `${name} of each cell` };
      return [name, draw("svg", frame, ...cells)];
    });
  }

  /** Output and log-probability under the model's own attention and each intervention. */
  private changed(evidence: Form): [string, string, number | null][] {
    const { trace } = this.panel.entry;
    const others = evidence.interventions.map(({ attention, output, log_prob }): [string, string, number] => [attention, output, log_prob]);
    return [["its own", trace.output, trace.scores ? sum(trace.scores) : null], ...others];
  }

  private interventions(evidence: Form): HTMLElement {
    const rows = this.changed(evidence).map(([attention, output, logProb], index) => {
      const name = make("th", { scope: "row" }, index ? `made ${attention}` : attention);
      return make("tr", {}, name, make("td", {}, isolated(output)), make("td", { class: "figure" }, logProb === null ? "" : figure(logProb)));
    });
    const head = make("tr", {}, ...["attention", "it writes", "log p of this output"].map((name) => make("th", { scope: "col" }, name)));
    return make("table", { class: "plain-table" }, make("thead", {}, head), make("tbody", {}, ...rows));
  }
}

/** A bar; if some values are negative, those to the left of the middle. */
function bar(value: number, greatest: number, signed: boolean): HTMLElement {
  const fill = make("span", { class: value < 0 ? "fill against" : "fill" });
  const share = (Math.abs(value) / greatest) * (signed ? 50 : 100);
  fill.style.width = `${share.toFixed(1)}%`;
  fill.style.left = `${(signed ? (value < 0 ? 50 - share : 50) : 0).toFixed(1)}%`;
  const rail = make("span", { class: signed ? "signed both" : "signed" }, fill);
  return make("span", { class: "measured" }, rail, make("span", { class: "figure" }, figure(value)));
}

customElements.define("attend-why", Why);
