// Heads over memory slots through time, as a Neural Turing Machine has them: what `attend.show.slots` finds in a trace.

import { labels, size, type Look, type Trace, type Weights } from "./trace";

/** A slot that no head gives as much at any step is never visited. */
const VISITED = 0.05;

/** A look: its weights by step, and the stages that lead to them. */
export interface Head {
  name: string;
  weights: number[][];
  stages: [string, number[][]][];
}

type Vector = number[] | null;

export interface Slots {
  /** The vector at each step, null where none was given, or answered. */
  input: Vector[];
  output: Vector[];
  /** Heads of each kind: write, read. */
  kinds: Head[][];
  names: string[];
  /** What is looked at: slots of a memory, or cells of anything else. */
  unit: "slot" | "cell";
  /** The slots that some head visits; all, if none is. */
  shown: number[];
  /** A picture for each step, with a row of pixels for each slot. */
  memory: string[];
}

/** Whether a look is a stage of another one, as "write: content" is of "write". */
export function isStage(name: string, looks: Record<string, Look>): boolean {
  const colon = name.lastIndexOf(": ");
  return colon > 0 && name.slice(0, colon) in looks;
}

/** The looks that are no stages. */
export function heads(trace: Trace): string[] {
  return Object.keys(trace.looks).filter((name) => !isStage(name, trace.looks));
}

/** The trace's heads; null if it has other looks, or other rows than the vectors of its input and output. */
export function slotsOf(trace: Trace): Slots | null {
  const looks = heads(trace).map((name): [string, Look] => [name, trace.looks[name]]);
  const all = Object.values(trace.looks);
  const [first] = all;
  if (!first || first.kind !== "weights" || first.memory.kind !== "named" || size(first.memory) < 2) return null;
  const axes = (look: Look) => look.kind === "weights" && JSON.stringify([labels(look.steps), look.memory]);
  if (all.some((look) => axes(look) !== axes(first))) return null;
  const placed = vectorsOf(trace, labels(first.steps));
  if (!placed) return null;
  const kinds = new Map<string, Head[]>();
  for (const [name, look] of looks) {
    const stages = Object.entries(trace.looks).filter(([other]) => other.startsWith(`${name}: `));
    const found = stages.map(([stage, { weights }]: [string, any]): [string, number[][]] => [stage.slice(name.length + 2), weights]);
    const kind = name.split(" ")[0];
    kinds.set(kind, [...(kinds.get(kind) ?? []), { name, weights: (look as Weights).weights, stages: found }]);
  }
  const names = first.memory.names;
  const visited = names.map((_, slot) => looks.some(([, look]) => (look as Weights).weights.some((row) => row[slot] >= VISITED)));
  const shown = names.flatMap((_, slot) => (visited[slot] || !visited.includes(true) ? [slot] : []));
  const media = looks.map(([name]) => trace.media?.[name]).find((one) => one?.kind === "picture_each_step");
  // What is written stands before what is read of it.
  const ordered = [...kinds].sort(([a], [b]) => Number(b === "write") - Number(a === "write")).map(([, found]) => found);
  const unit = kinds.has("read") || kinds.has("write") ? "slot" : "cell";
  return { ...placed, kinds: ordered, names, unit, shown, memory: media?.kind === "picture_each_step" ? media.uris : [] };
}

/** Input and output, each at its steps: the output after the input or, where all are the input's, at their end. */
function vectorsOf(trace: Trace, steps: string[]): Pick<Slots, "input" | "output"> | null {
  const words = (text: string) => text.split(/\s+/).filter(Boolean);
  const [given, answered] = [words(trace.input), words(trace.output)];
  const names = steps.join(" ");
  if (answered.length > steps.length || ![[...given, ...answered].join(" "), given.join(" ")].includes(names)) return null;
  const [input, output] = [given.map(vector), answered.map(vector)];
  if ([...input, ...output].some((one) => !one.every(Number.isFinite))) return null;
  const none = (count: number): null[] => new Array<null>(count).fill(null);
  return { input: [...input, ...none(steps.length - input.length)], output: [...none(steps.length - output.length), ...output] };
}

/** "0110" is four bits, "0.5,-1" two numbers. */
function vector(word: string): number[] {
  return (/^[01]+$/.test(word) ? [...word] : word.split(",")).map(Number);
}

/** The first step of the output. */
export function answeredAt({ output }: Slots): number {
  return Math.max(output.findIndex((vector) => vector), 0);
}

/** The weights of the slots that are shown and, where some are not, the sum of all others. */
export function rowsOf({ shown, names }: Slots, weights: number[]): number[] {
  const kept = shown.map((slot) => weights[slot]);
  if (shown.length === names.length) return kept;
  const there = new Set(shown);
  return [...kept, weights.reduce((sum, weight, slot) => (there.has(slot) ? sum : sum + weight), 0)];
}

/** The names of those rows. */
export function rowNames({ shown, names }: Slots): string[] {
  const kept = shown.map((slot) => names[slot]);
  return shown.length === names.length ? kept : [...kept, "other"];
}

/** The weights before a step, and after each stage of it; before the first step they are not known. */
export function strips({ weights, stages }: Head, step: number): [string, number[] | null][] {
  if (!stages.length) return [];
  return [["before", weights[step - 1] ?? null], ...stages.map(([name, rows]): [string, number[]] => [name, rows[step]]), ["sharpen", weights[step]]];
}

/** What a step is: "step 7 (output 1)". */
export function describe({ input, output }: Slots, step: number): string {
  const parts = Object.entries({ input, output }).filter(([, vectors]) => vectors[step]);
  const what = parts.map(([name, vectors]) => `${name} ${vectors.slice(0, step + 1).filter(Boolean).length}`);
  return `step ${step + 1} (${what.join(", ")})`;
}
