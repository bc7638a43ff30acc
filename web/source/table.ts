// The numbers themselves, instead of a picture of them.

import { isolated, make, scrolling } from "./elements";
import { framed, type Panel } from "./view";
import { strongest, type Weights } from "./trace";

const MOST_CELLS = 20_000;

export function table(panel: Panel): HTMLElement {
  const { reading } = panel;
  const { weights } = reading.look as Weights;
  const most = Math.max(1, Math.floor(MOST_CELLS / Math.max(reading.cells.length, 1)));
  const head = [make("td", {}), ...reading.cells.map((name) => make("th", { scope: "col" }, isolated(name)))];
  const rows = weights.slice(0, most).map((row, step) => {
    const best = strongest(row);
    const cells = row.map((weight, cell) => make("td", {}, ...(cell === best ? [make("strong", {}, weight.toFixed(3))] : [weight.toFixed(3)])));
    return make("tr", {}, make("th", { scope: "row" }, isolated(reading.steps[step])), ...cells);
  });
  const left = weights.length - rows.length;
  const note = left > 0 ? [make("p", { class: "quiet" }, `The first ${rows.length} steps; ${left} more are in the .csv file.`)] : [];
  const caption = make("caption", { class: "spoken" }, "Weights: a row is a step, a column a cell, the strongest of each row in bold");
  const body = make("table", { class: "plain-table numbers" }, caption, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
  return framed("Table", [], scrolling("Table of weights", false, body), ...note);
}
