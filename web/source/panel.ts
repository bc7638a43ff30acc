// What views and actions share: a trace on the page, and what can be done with it.

import type { Entry, Store } from "./store";
import type { Reading, Sides } from "./trace";

/** One trace on the page: a look of it in the unit chosen. */
export interface Panel {
  entry: Entry;
  index: number;
  name: string;
  reading: Reading;
  /** The same look in tokens, which is what a model knows. */
  tokens: Reading;
  /** Whether the rows of the look are the cells of an input, and not the output's steps. */
  ofInput: boolean;
  /** The inputs that its rows and columns are, where the inputs have names. */
  sides: Sides;
  store: Store;
  act: Act;
}

/** Questions that a person can put to the model behind a trace. Each adds a new trace beside the old one. */
export interface Act {
  /** Whether the model behind an entry can be asked again. */
  canAsk(entry: Entry): boolean;
  /** Whether it can be asked for attributions, too. */
  canExplain(entry: Entry): boolean;
  /** Handle a key; false if it is not one of these actions. */
  key(key: string, panel: Panel): boolean;
  /** Show the alternatives at a step, and go there. */
  offer(panel: Panel, step: number, go: boolean): void;
  /** Force another token at a step (its id, or text), and decode on from there. */
  writeInstead(panel: Panel, tokenStep: number, other: number | string): void;
  /** Decode on from this prefix. */
  goOn(panel: Panel, ids: number[]): void;
  /** Force the attention of a step, and decode on from there. */
  look(panel: Panel, kind: Forced): void;
  /** Ask for attributions and interventions. */
  why(panel: Panel): void;
}

/** Attention that can be forced: on one cell, uniform, or on a cell and its neighbours. */
export type Forced = "one" | "uniform" | "window";
