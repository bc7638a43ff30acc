// The state shared by all views, kept in the URL.

import type { Trace, Unit } from "./trace";

export const VIEWS = {
  memory: "Memory",
  story: "Story",
  matrix: "Matrix",
  arcs: "Arcs",
  strips: "Strips",
  picture: "Picture",
  drawing: "Drawing",
  windows: "Windows",
  alternatives: "Alternatives",
  beam: "Beam",
  evidence: "Why?",
  difference: "Difference",
} as const;
export type ViewName = keyof typeof VIEWS;

/** A text or a picture; of a model of several inputs, one by name for each. */
export type Input = string | Record<string, string>;

/** What the server was asked for: enough to ask again. */
export interface Ask {
  model: string;
  input: Input;
  prefix?: (number | string)[];
  weights?: Record<number, number[]>;
  beam?: number;
  /** Whether it was asked, too, what the output depends on. */
  why?: boolean;
}

export interface Entry {
  trace: Trace;
  /** What was changed, in a few words: "prefix", "row 3 set". */
  label: string;
  ask: Ask | null;
}

/** A place in a look: -1 for all steps, or all cells. */
export interface Place {
  step: number;
  cell: number;
}

export interface Settings {
  shown: number[];
  views: ViewName[];
  look: string;
  unit: Unit;
  scale: "row" | "absolute";
  mass: number;
  smooth: boolean;
  /** How dark a picture is where a word did not look, in percent. */
  dark: number;
  /** Whether arcs to special tokens, such as the end of a sentence, are shown. */
  special: boolean;
  table: boolean;
  pruned: boolean;
  pins: Place[];
}

export const INITIAL: Settings = {
  shown: [0],
  views: ["memory", "story", "matrix", "arcs", "strips", "picture", "drawing", "windows", "difference"],
  look: "",
  unit: "token",
  scale: "row",
  mass: 75,
  smooth: false,
  dark: 80,
  special: true,
  table: false,
  pruned: true,
  pins: [],
};

export const BOTH = -1;
export const NOWHERE: Place = { step: -1, cell: -1 };

export class Store {
  entries: Entry[] = [];
  settings: Settings = INITIAL;
  focus: Place = NOWHERE;
  /** The last step that the matrix shows in full, of a beam's node that was chosen: null for all. */
  upTo: number | null = null;
  /** The trace whose view the keyboard moves through: what is spoken is about it, or about the two shown (`BOTH`). */
  speaker = 0;
  /** Called when the page is to be drawn again. */
  onChange: () => void = () => {};
  /** Called when the place in focus changes, many times a second. `spoken`: by the keyboard. */
  onLight: (spoken: boolean) => void = () => {};

  change(settings: Partial<Settings>, remember = true): void {
    this.upTo = null;
    this.settings = { ...this.settings, ...settings };
    this.toAddress(remember);
    this.onChange();
  }

  light(place: Place, spoken = false): void {
    if (place.step === this.focus.step && place.cell === this.focus.cell && !spoken) return;
    this.focus = place;
    this.onLight(spoken);
  }

  togglePin(place: Place): void {
    const others = this.settings.pins.filter((pin) => pin.step !== place.step || pin.cell !== place.cell);
    const pins = others.length === this.settings.pins.length ? [...others, place] : others;
    this.settings = { ...this.settings, pins };
    this.toAddress(false);
    this.onLight(true);
  }

  unpin(): void {
    this.settings = { ...this.settings, pins: [] };
    this.focus = NOWHERE;
    this.upTo = null;
    this.toAddress(false);
    this.onLight(false);
  }

  /** Show a new entry beside the one it came from. */
  add(entry: Entry, beside: number | null): void {
    this.entries = [...this.entries, entry];
    const added = this.entries.length - 1;
    this.change({ shown: beside === null ? [added] : [beside, added], pins: [] });
  }

  /** Take the last entry away again. */
  undo(): void {
    this.entries = this.entries.slice(0, -1);
    const last = this.entries.length - 1;
    const shown = this.settings.shown.filter((index) => index <= last);
    this.change({ shown: shown.length ? shown : [Math.max(last, 0)], pins: [] });
  }

  toAddress(remember: boolean): void {
    const address = `#${written(this.settings, this.entries)}`;
    if (address === location.hash) return;
    try {
      if (remember) history.pushState(null, "", address);
      else history.replaceState(null, "", address);
    } catch (error) {
      // A page inside another one, such as a notebook's, has no address of its own.
      if (!(error instanceof DOMException)) throw error;
    }
  }
}

/** The settings that differ from the defaults, as the query of an address. */
export function written(settings: Settings, entries: Entry[]): string {
  const found = new URLSearchParams();
  const put = (key: string, value: string, initial: string) => {
    if (value !== initial) found.set(key, value);
  };
  put("s", settings.shown.join("."), INITIAL.shown.join("."));
  put("v", settings.views.join("."), INITIAL.views.join("."));
  put("l", settings.look, INITIAL.look);
  put("u", settings.unit, firstUnit(entries));
  put("c", settings.scale, INITIAL.scale);
  put("m", String(settings.mass), String(INITIAL.mass));
  put("i", settings.smooth ? "smooth" : "", "");
  put("d", String(settings.dark), String(INITIAL.dark));
  put("e", settings.special ? "" : "hidden", "");
  put("t", settings.table ? "1" : "", "");
  put("b", settings.pruned ? "" : "kept", "");
  put("p", settings.pins.map((pin) => `${pin.step}_${pin.cell}`).join("."), "");
  const asked = linked(entries);
  if (asked.length) found.set("q", packed(asked));
  return found.toString();
}

const LONGEST_INPUT = 4000;

/** What was asked, as far as an address can hold it: it ends before a picture, or another input that is too long. */
export function linked(entries: Entry[]): Asked[] {
  const asked: Asked[] = [];
  for (const [index, { label, ask }] of entries.entries()) {
    if (ask && lengthOf(ask.input) > LONGEST_INPUT) break;
    if (ask) asked.push({ index, label, ask });
    else if (asked.length) break; // opened from a file: those after it would come in its place
  }
  return asked;
}

function lengthOf(input: Input): number {
  return typeof input === "string" ? input.length : Object.values(input).reduce((total, text) => total + text.length, 0);
}

export interface Asked {
  index: number;
  label: string;
  ask: Ask;
}

/** Gold links are between words: with them, words are the first unit. */
function firstUnit(entries: Entry[]): Unit {
  return entries.some(({ trace }) => trace.gold) ? "word" : INITIAL.unit;
}

/** The settings in an address, with defaults for what is missing or invalid. */
export function understood(address: string, entries: Entry[]): { settings: Settings; asked: Asked[] } {
  const query = new URLSearchParams(address.replace(/^#/, ""));
  const list = (key: string) => (query.get(key) ?? "").split(".").filter(Boolean);
  const shown = list("s").map(Number).filter((index) => Number.isInteger(index) && index >= 0);
  // "canvas" is the drawing's name in older addresses.
  const views = list("v").map((name) => (name === "canvas" ? "drawing" : name)).filter((name): name is ViewName => name in VIEWS);
  const pins = list("p").flatMap((pin): Place[] => {
    const [step, cell] = pin.split("_").map(Number);
    return Number.isInteger(step) && Number.isInteger(cell) ? [{ step, cell }] : [];
  });
  const mass = Number(query.get("m") ?? INITIAL.mass);
  const dark = Number(query.get("d") ?? INITIAL.dark);
  return {
    settings: {
      shown: shown.length ? shown.slice(0, 2) : INITIAL.shown,
      views: query.has("v") ? views : INITIAL.views,
      look: query.get("l") ?? INITIAL.look,
      unit: query.get("u") === "word" ? "word" : query.get("u") === "token" ? "token" : firstUnit(entries),
      scale: query.get("c") === "absolute" ? "absolute" : "row",
      mass: mass >= 1 && mass <= 100 ? mass : INITIAL.mass,
      smooth: query.get("i") === "smooth",
      dark: dark >= 0 && dark <= 100 ? dark : INITIAL.dark,
      special: query.get("e") !== "hidden",
      table: query.get("t") === "1",
      pruned: query.get("b") !== "kept",
      pins,
    },
    asked: unpacked(query.get("q")),
  };
}

function packed(value: unknown): string {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function isInput(given: unknown): given is Input {
  if (typeof given === "string") return true;
  return typeof given === "object" && given !== null && Object.values(given).every((text) => typeof text === "string");
}

function unpacked(text: string | null): Asked[] {
  if (!text) return [];
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const found: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (!Array.isArray(found)) return [];
    return found.filter((asked: Partial<Asked>) => typeof asked?.ask?.model === "string" && isInput(asked.ask.input));
  } catch {
    // The link was truncated; the settings in it still hold.
    return [];
  }
}
