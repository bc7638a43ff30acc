// The weights as a table of numbers.

import { isolated, make, scrolling, type Child } from "./elements";
import { framed, View } from "./view";
import type { Store } from "./store";
import { strongest, type Weights } from "./trace";

const MOST_CELLS = 20_000;

export interface Figures {
  element: HTMLTableElement;
  /** Highlight the place in focus and the pinned ones. */
  light: () => void;
}

/**
 * A table of which each row is a step. Each column is a cell that a step looked at or, without `cells`, something that is
 * told of the step.
 */
export function figures(
  store: Store,
  caption: string,
  names: { rows: string[]; columns: string[] },
  told: (step: number, column: number) => Child,
  cells = true,
): Figures {
  const heads = names.columns.map((name) => make("th", { scope: "col" }, isolated(name)));
  const rows = names.rows.map((name, step) => {
    return make("tr", {}, make("th", { scope: "row" }, isolated(name)), ...names.columns.map((_, column) => make("td", {}, told(step, column))));
  });
  const body = make("tbody", {}, ...rows);
  const place = (event: Event) => {
    const found = (event.target as Element).closest<HTMLTableCellElement>("td, th");
    const row = found?.parentElement as HTMLTableRowElement | undefined;
    return found && row ? { step: rows.indexOf(row), cell: cells ? found.cellIndex - 1 : -1 } : null;
  };
  body.addEventListener("pointerover", (event) => {
    const found = place(event);
    if (found) store.light(found);
  });
  body.addEventListener("pointerleave", () => store.light({ step: -1, cell: -1 }));
  body.addEventListener("click", (event) => {
    const found = place(event);
    if (found) store.togglePin(found);
  });
  const at = ({ step, cell }: { step: number; cell: number }) => {
    if (!cells) return rows[step];
    return step >= 0 && cell >= 0 ? rows[step]?.cells[cell + 1] : (rows[step] ?? heads[cell]);
  };
  let lit: Element[] = [];
  const light = () => {
    for (const element of lit) element.classList.remove("here", "pinned");
    const { focus, settings } = store;
    const here = [at(focus), cells ? heads[focus.cell] : undefined].filter((element) => element !== undefined);
    const pinned = settings.pins.map(at).filter((element) => element !== undefined);
    for (const element of pinned) element.classList.add("pinned");
    for (const element of here) element.classList.add("here");
    lit = [...here, ...pinned];
  };
  const head = make("thead", {}, make("tr", {}, make("td", {}), ...heads));
  return { element: make("table", { class: "plain-table numbers" }, make("caption", { class: "spoken" }, caption), head, body), light };
}

export class Table extends View {
  private figures: Figures | null = null;

  protected draw(): void {
    const { reading, store, sides } = this.panel;
    const { weights } = reading.look as Weights;
    const most = Math.max(1, Math.floor(MOST_CELLS / Math.max(reading.cells.length, 1)));
    const best = weights.map(strongest);
    const told = (step: number, cell: number) => {
      const text = weights[step][cell].toFixed(3);
      return cell === best[step] ? make("strong", {}, text) : text;
    };
    const [row, column] = [sides.steps ? `one of ${sides.steps}` : "a step", sides.cells ? `one of ${sides.cells}` : "a cell"];
    const caption = `Weights: a row is ${row}, a column ${column}, the strongest of each row in bold`;
    this.figures = figures(store, caption, { rows: reading.steps.slice(0, most), columns: reading.cells }, told);
    const left = weights.length - most;
    const note = left > 0 ? [make("p", { class: "quiet" }, `The first ${most} steps; ${left} more are in the .csv file.`)] : [];
    this.append(framed("Table", [], scrolling("Table of weights", false, this.figures.element), ...note));
  }

  override light(): void {
    this.figures?.light();
  }
}

customElements.define("attend-table", Table);
