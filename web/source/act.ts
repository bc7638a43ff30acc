// What actions apply to, and the attention that they set.

import type { Forced, Panel } from "./panel";
import type { Ask } from "./store";

export const FORCED: Record<Forced, string> = { one: "only here", uniform: "everywhere alike", window: "here and beside" };

/** The place that actions apply to: the one in focus, else the last pinned. */
export function aim(panel: Panel): { step: number; cell: number } {
  const { focus, settings } = panel.store;
  const pins = settings.pins.filter((pin) => pin.step >= 0);
  const pin = pins[pins.length - 1];
  if (focus.step < 0) return pin ?? { step: -1, cell: -1 };
  // A step in focus alone may be where a cell is pinned.
  return focus.cell < 0 && pin?.step === focus.step ? pin : focus;
}

/** A forced row of weights over tokens: equal on the chosen cells, zero elsewhere. */
export function forcedRow(panel: Panel, kind: Forced, cell: number): number[] {
  const count = panel.tokens.cells.length;
  const cells = panel.reading.cellTokens;
  const all = Array.from({ length: count }, (_, index) => index);
  const reach = kind === "window" ? 1 : 0;
  const { look } = panel.reading;
  const grid = look.kind === "weights" && look.memory.kind === "grid" ? look.memory.columns : 0;
  // On a grid, neighbours are above and below too.
  const near = (other: number) =>
    Math.abs((other % grid) - (cell % grid)) <= reach && Math.abs(Math.floor(other / grid) - Math.floor(cell / grid)) <= reach;
  const looked = kind === "uniform" ? all : grid ? all.filter(near) : cells.slice(Math.max(cell - reach, 0), cell + reach + 1).flat();
  const row = new Array<number>(count).fill(0);
  for (const token of looked) row[token] = 1 / looked.length;
  return row;
}

/** The request that keeps the steps before one as they are, with the attention forced there. */
export function upTo(ask: Ask, ids: number[], step: number): Ask {
  const weights = Object.entries(ask.weights ?? {}).filter(([set]) => Number(set) < step);
  return { ...ask, prefix: ids.slice(0, step), weights: Object.fromEntries(weights) };
}
