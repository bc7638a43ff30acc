// What a person can do to a trace, apart from looking at it. Each makes a new trace beside the old one.

import type { Ask, Entry } from "./store";
import type { Panel } from "./view";

export interface Act {
  /** Whether the model behind an entry can be asked again. */
  canAsk(entry: Entry): boolean;
  /** Whether it can be asked what its output depends on, too. */
  canExplain(entry: Entry): boolean;
  /** Do what a key stands for; false if it stands for nothing here. */
  key(key: string, panel: Panel): boolean;
  /** Show what else could stand at a step, and go there. */
  offer(panel: Panel, step: number, go: boolean): void;
  /** Write another token at a step (its id, or text), and go on from there. */
  writeInstead(panel: Panel, tokenStep: number, other: number | string): void;
  /** Go on from the end of these tokens. */
  goOn(panel: Panel, ids: number[]): void;
  /** Set the attention of a step, and go on from there. */
  look(panel: Panel, kind: Forced): void;
  /** Find out what the output depends on. */
  why(panel: Panel): void;
}

export type Forced = "one" | "uniform" | "window";
export const FORCED: Record<Forced, string> = { one: "only here", uniform: "everywhere alike", window: "here and beside" };

/** The place that actions are about: what is in focus, else what was pinned last. */
export function aim(panel: Panel): { step: number; cell: number } {
  const { focus, settings } = panel.store;
  const pins = settings.pins.filter((pin) => pin.step >= 0);
  const pin = pins[pins.length - 1];
  if (focus.step < 0) return pin ?? { step: -1, cell: -1 };
  // A step in focus alone may be where a cell is pinned.
  return focus.cell < 0 && pin?.step === focus.step ? pin : focus;
}

/** The row of weights that a forced look has, over tokens: shared out evenly among those that it looks at. */
export function forcedRow(panel: Panel, kind: Forced, cell: number): number[] {
  const count = panel.tokens.cells.length;
  const cells = panel.reading.cellTokens;
  const all = Array.from({ length: count }, (_, index) => index);
  const reach = kind === "window" ? 1 : 0;
  const { look } = panel.reading;
  const grid = look.kind === "weights" && look.memory.kind === "grid" ? look.memory.columns : 0;
  // In a picture, beside is above and below too.
  const near = (other: number) =>
    Math.abs((other % grid) - (cell % grid)) <= reach && Math.abs(Math.floor(other / grid) - Math.floor(cell / grid)) <= reach;
  const looked = kind === "uniform" ? all : grid ? all.filter(near) : cells.slice(Math.max(cell - reach, 0), cell + reach + 1).flat();
  const row = new Array<number>(count).fill(0);
  for (const token of looked) row[token] = 1 / looked.length;
  return row;
}

/** What to ask for so that the steps before one stay as they are, with what was set by hand there. */
export function upTo(ask: Ask, ids: number[], step: number): Ask {
  const weights = Object.entries(ask.weights ?? {}).filter(([set]) => Number(set) < step);
  return { ...ask, prefix: ids.slice(0, step), weights: Object.fromEntries(weights) };
}
