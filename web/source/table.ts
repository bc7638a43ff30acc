// The numbers themselves, instead of a picture of them.

import { isolated, make, scrolling } from "./elements";
import { framed, View } from "./view";
import { strongest, type Weights } from "./trace";

const MOST_CELLS = 20_000;

export class Table extends View {
  private rows: HTMLTableRowElement[] = [];
  private heads: HTMLElement[] = [];
  private lit: Element[] = [];

  protected draw(): void {
    const { reading, store } = this.panel;
    const { weights } = reading.look as Weights;
    const most = Math.max(1, Math.floor(MOST_CELLS / Math.max(reading.cells.length, 1)));
    this.lit = [];
    this.heads = reading.cells.map((name) => make("th", { scope: "col" }, isolated(name)));
    this.rows = weights.slice(0, most).map((row, step) => {
      const best = strongest(row);
      const cells = row.map((weight, cell) => make("td", {}, ...(cell === best ? [make("strong", {}, weight.toFixed(3))] : [weight.toFixed(3)])));
      return make("tr", {}, make("th", { scope: "row" }, isolated(reading.steps[step])), ...cells);
    });
    const left = weights.length - this.rows.length;
    const note = left > 0 ? [make("p", { class: "quiet" }, `The first ${this.rows.length} steps; ${left} more are in the .csv file.`)] : [];
    const caption = make("caption", { class: "spoken" }, "Weights: a row is a step, a column a cell, the strongest of each row in bold");
    const head = make("thead", {}, make("tr", {}, make("td", {}), ...this.heads));
    const body = make("tbody", {}, ...this.rows);
    const place = (event: Event) => {
      const cell = (event.target as Element).closest<HTMLTableCellElement>("td, th");
      const row = cell?.parentElement as HTMLTableRowElement | undefined;
      return cell && row ? { step: this.rows.indexOf(row), cell: cell.cellIndex - 1 } : null;
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
    const whole = make("table", { class: "plain-table numbers" }, caption, head, body);
    this.append(framed("Table", [], scrolling("Table of weights", false, whole), ...note));
  }

  override light(): void {
    for (const element of this.lit) element.classList.remove("here", "pinned");
    const { step, cell } = this.panel.store.focus;
    const at = (place: { step: number; cell: number }) =>
      place.step >= 0 && place.cell >= 0 ? this.rows[place.step]?.cells[place.cell + 1] : (this.rows[place.step] ?? this.heads[place.cell]);
    const found = [at({ step, cell }), this.heads[cell]].filter((element) => element !== undefined);
    const pinned = this.settings.pins.map(at).filter((element) => element !== undefined);
    for (const element of pinned) element.classList.add("pinned");
    for (const element of found) element.classList.add("here");
    this.lit = [...found, ...pinned];
  }
}

customElements.define("attend-table", Table);
