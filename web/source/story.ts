// A story as lines: a bar beside each sentence for every hop, and what was answered after it.

import { chart } from "./chart";
import { isolated, make, scrolling } from "./elements";
import { figure, framed, saving, steered, View } from "./view";
import { answers, strongest, visible, type Look, type Trace, type Weights } from "./trace";

/** Whether the cells of a look are sentences, of several words each, that an answer looks at in several hops. */
export function tellsStory(look: Look): look is Weights {
  if (look.kind !== "weights" || look.memory.kind !== "tokens" || look.steps.kind !== "named") return false;
  return look.memory.tokens.some(({ text }) => /\S\s+\S/.test(text));
}

/** The likeliest answer after each hop, and its probability; none where the trace does not know. */
function thoughts(trace: Trace, hops: number): [string, number][] {
  const known = answers(trace) ? (trace.alternatives ?? []) : [];
  if (known.length !== hops) return [];
  const best = known.map((choices) => choices.reduce((one, other) => (other.log_prob > one.log_prob ? other : one)));
  return best.map(({ text, log_prob }) => [visible(text), Math.exp(log_prob)]);
}

export class Story extends View {
  private places: HTMLElement[][] = [];
  private lit: HTMLElement[] = [];

  protected draw(): void {
    this.lit = [];
    const { reading, entry, store } = this.panel;
    const look = reading.look as Weights;
    const after = thoughts(entry.trace, reading.steps.length);
    const hops = reading.steps.map((name) => make("th", { scope: "col" }, "hop ", isolated(name)));
    this.places = reading.cells.map((_, cell) =>
      look.weights.map((row, step) => {
        const fill = make("span", { class: "fill" });
        fill.style.width = `${(Math.min(row[cell], 1) * 100).toFixed(1)}%`;
        const most = strongest(row) === cell;
        const bar = make("span", { class: "story-bar" }, make("span", { class: "rail" }, fill), make("span", { class: "figure" }, figure(row[cell])));
        const place = make("td", { class: most ? "most" : "" }, bar);
        place.addEventListener("pointerenter", () => store.light({ step, cell }));
        place.addEventListener("pointerleave", () => store.light({ step: -1, cell: -1 }));
        place.addEventListener("click", () => store.togglePin({ step, cell }));
        return place;
      }),
    );
    const rows = reading.cells.map((name, cell) => make("tr", {}, make("th", { scope: "row" }, isolated(name)), ...this.places[cell]));
    const answered = after.map(([name, share]) => make("td", {}, isolated(name), make("span", { class: "quiet" }, ` ${figure(share)}`)));
    const foot = answered.length ? [make("tfoot", {}, make("tr", {}, make("th", { scope: "row" }, "answer after it"), ...answered))] : [];
    const head = make("thead", {}, make("tr", {}, make("td", {}), ...hops));
    const table = make("table", { class: "story-table" }, head, make("tbody", {}, ...rows), ...foot);
    const body = scrolling("How much each hop looked at each sentence", false, table);
    this.append(framed("Story", [saving("story", () => this.drawing(after))], body));
    steered(body, this.panel, "The story, with what each hop looked at", { step: "horizontal", cell: "vertical" });
  }

  private drawing(after: [string, number][]): SVGSVGElement {
    const { reading } = this.panel;
    const look = reading.look as Weights;
    const columns = reading.steps.map((name, step) => {
      const thought = after[step];
      return { name: thought ? `hop ${name}: ${thought[0]}` : `hop ${name}`, values: look.weights[step], greatest: 1, signed: false, figure };
    });
    return chart("Story", { head: [], names: reading.cells, columns });
  }

  override light(): void {
    for (const element of this.lit) element.classList.remove("here", "pinned");
    const at = ({ step, cell }: { step: number; cell: number }) =>
      this.places.flatMap((row, line) => row.filter((_, hop) => (step < 0 || hop === step) && (cell < 0 || line === cell)));
    const { step, cell } = this.place;
    const here = step < 0 && cell < 0 ? [] : at({ step, cell });
    const pinned = this.settings.pins.flatMap(at);
    for (const element of pinned) element.classList.add("pinned");
    for (const element of here) element.classList.add("here");
    this.lit = [...here, ...pinned];
  }
}

customElements.define("attend-story", Story);
