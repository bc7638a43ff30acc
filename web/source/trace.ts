// The trace schema attend.trace.v2, and what is computed from it. Steps are rows, cells are columns.

export interface Token {
  text: string;
  start: number | null;
  end: number | null;
  /** In no vocabulary. */
  unknown?: boolean;
}
export type Axis =
  | { kind: "tokens"; text: string; tokens: Token[] }
  | { kind: "grid"; rows: number; columns: number }
  | { kind: "frames"; starts: number[]; seconds: number }
  | { kind: "named"; names: string[] };
export interface Weights {
  kind: "weights";
  weights: number[][];
  steps: Axis;
  memory: Axis;
  hard: boolean;
}
export interface Windows {
  kind: "windows";
  centre: [number, number][];
  extent: [number, number][];
  scale: number[];
  steps: Axis;
}
export type Look = Weights | Windows;
export interface Alternative {
  id: number;
  text: string;
  log_prob: number;
}
export interface Node {
  parent: number | null;
  id: number;
  text: string;
  log_prob: number;
  score: number;
  fate: "kept" | "finished" | "pruned";
}
export type Link = [number, number];
export interface Gold {
  sure: Link[];
  possible: Link[];
}
export interface Evidence {
  look: string;
  attributions: Record<string, number[][]>;
  interventions: { attention: string; output: string; log_prob: number }[];
}
/** Pictures and sounds, as data URIs. */
export type Media =
  | { kind: "picture"; uri: string }
  | { kind: "picture_each_step"; uris: string[] }
  | { kind: "picture_each_cell"; uris: string[] }
  | { kind: "sound"; uri: string; seconds: number };
export interface Trace {
  schema: "attend.trace.v2";
  input: string;
  output: string;
  looks: Record<string, Look>;
  scores: number[] | null;
  about: Record<string, string>;
  ids?: number[];
  alternatives?: Alternative[][];
  entropies?: number[];
  search?: Node[];
  gold?: Record<string, Gold>;
  evidence?: Evidence;
  /** By look, or "input" and "output". */
  media?: Record<string, Media>;
  finished?: boolean;
}

export type Unit = "token" | "word";

/** A look in one unit: `stepTokens[i]` are the tokens that step i stands for, and so for the cells. */
export interface Reading {
  look: Look;
  steps: string[];
  cells: string[];
  stepTokens: number[][];
  cellTokens: number[][];
}

/** Whether the output is one of a few answers, given in one go, and not a sequence that was written step by step. */
export function answers(trace: Trace): boolean {
  if (trace.ids?.length !== 1 || trace.finished === false) return false;
  return trace.alternatives?.at(-1)?.some(({ text }) => text === trace.output) ?? false;
}

/** The names and texts of several inputs, of which a trace's input has one a line ("premise: a dog runs"); else none. */
export function fieldsOf(trace: Trace): [string, string][] {
  const fields: [string, string][] = [];
  for (const line of trace.input.split("\n")) {
    const named = /^([\p{L}_][\p{L}\p{N}_-]*): (.*)$/u.exec(line);
    if (named) fields.push([named[1], named[2]]);
    else if (fields.length) fields[fields.length - 1][1] += `\n${line}`;
    else return [];
  }
  // A single text may have lines like these.
  const whole = Object.values(trace.looks).some((look) => textsOf(look).includes(trace.input));
  return fields.length > 1 && !whole ? fields : [];
}

function textsOf(look: Look): string[] {
  const axes = look.kind === "weights" ? [look.steps, look.memory] : [look.steps];
  return axes.flatMap((axis) => (axis.kind === "tokens" ? [axis.text] : []));
}

/** Whether the rows of a look are the cells of an input (the words of a second sentence), and not the output's steps. */
export function ofInput(trace: Trace, { steps }: Look): boolean {
  if (answers(trace)) return steps.kind !== "named";
  if (steps.kind !== "tokens" || steps.text === trace.output) return steps.kind === "grid";
  return steps.text === trace.input || fieldsOf(trace).some(([, text]) => text === steps.text);
}

/** The inputs that the rows and the columns of a look are, where the inputs have names. */
export interface Sides {
  steps?: string;
  cells?: string;
}

export function sidesOf(trace: Trace, name: string): Sides {
  const look = trace.looks[name];
  const fields = fieldsOf(trace);
  if (!look || !fields.length) return {};
  const named = (axis: Axis) => fields.filter(([, text]) => axis.kind === "tokens" && axis.text === text).map(([field]) => field);
  // A look is often called by what it is over; of two inputs with the same text this tells which one that is.
  const over = look.kind === "weights" ? named(look.memory) : [];
  const called = fields.some(([field]) => field === name) && (over.includes(name) || (look.kind === "weights" && look.memory.kind !== "tokens"));
  const cells = called ? name : over[0];
  const rows = ofInput(trace, look) ? named(look.steps) : [];
  return { cells, steps: rows.find((field) => field !== cells) ?? rows[0] };
}

/** The index of the alternatives at a step of a look: several windows, one for each scale, may share them. */
export function alternativesAt(trace: Trace, reading: Reading, step: number): number {
  // After all rows that are no steps of the output there is one answer.
  if (ofInput(trace, reading.look)) return (trace.alternatives?.length ?? 1) - 1;
  if (reading.look.kind !== "windows" || !trace.alternatives?.length) return reading.stepTokens[step]?.[0] ?? 0;
  return Math.min(Math.floor(step / windowsAStep(trace, reading)), trace.alternatives.length - 1);
}

/** Width and height of a picture, in any unit: read from a PNG's header; other formats are taken for square. */
export function proportions(picture: string | undefined): [number, number] {
  const data = /^data:image\/png;base64,(.{32})/.exec(picture ?? "")?.[1];
  if (!data) return [1, 1];
  const head = atob(data);
  const number = (from: number) => Array.from(head.slice(from, from + 4)).reduce((value, byte) => value * 256 + byte.charCodeAt(0), 0);
  const [width, height] = [number(16), number(20)];
  return width && height ? [width, height] : [1, 1];
}

/** How many windows belong to a step of a look through windows: one a scale. */
export function windowsAStep(trace: Trace, reading: Reading): number {
  return Math.floor(reading.steps.length / (trace.alternatives?.length || reading.steps.length || 1)) || 1;
}

/** Parsed JSON as a trace of the present version; null if it is not a trace. */
export function understoodTrace(form: unknown): Trace | null {
  try {
    const found = form as Trace & { schema: string };
    if (typeof found?.looks !== "object" || found.looks === null) return null;
    if (found.schema === "attend.trace.v2") return whole(found);
    return found.schema === "attend.trace.v1" ? whole(fromFirst(found as unknown as First)) : null;
  } catch {
    return null;
  }
}

/** With defaults for what a trace may leave out. */
function whole(trace: Trace): Trace {
  const axis = (axis: Axis): Axis => {
    if (axis.kind !== "tokens") return axis;
    return { ...axis, tokens: axis.tokens.map((token) => ({ ...token, start: token.start ?? null, end: token.end ?? null })) };
  };
  const looks = Object.entries(trace.looks).map(([name, look]): [string, Look] => {
    const steps = axis(look.steps);
    return [name, look.kind === "windows" ? { ...look, steps } : { ...look, steps, memory: axis(look.memory), hard: look.hard ?? false }];
  });
  // Optional parts may be null.
  const said = Object.fromEntries(Object.entries(trace).filter(([, value]) => value !== null)) as unknown as Trace;
  return { ...said, looks: Object.fromEntries(looks), scores: trace.scores ?? null, about: trace.about ?? {} };
}

/** The first version: one input picture, and a canvas after each step with the look that wrote it. */
type First = Omit<Trace, "media"> & { picture?: string; canvas?: { after: string[]; look: string | null } };

function fromFirst({ picture, canvas, ...trace }: First): Trace {
  const media: Record<string, Media> = {};
  if (picture) media.input = { kind: "picture", uri: picture };
  if (canvas) media[canvas.look ?? "output"] = { kind: "picture_each_step", uris: canvas.after };
  return { ...trace, schema: "attend.trace.v2", ...(Object.keys(media).length ? { media } : {}) };
}

/** The media to show a look with: its own, or the input's where these can go with its cells (as `Trace.media_of`). */
export function mediaOf(trace: Trace, name: string): Media | undefined {
  const own = trace.media?.[name];
  if (own) return own;
  const [media, look] = [trace.media?.input, trace.looks[name]];
  const memory = look?.kind === "weights" ? look.memory : null;
  switch (media?.kind) {
    case "picture":
      return !memory || memory.kind === "grid" ? media : undefined;
    case "sound":
      return memory?.kind === "frames" ? media : undefined;
    case "picture_each_cell":
      return (memory?.kind === "frames" || memory?.kind === "named") && size(memory) === media.uris.length ? media : undefined;
    default:
      return undefined;
  }
}

/** The picture that a look lies in at a step, if there is one. */
export function pictureOf(trace: Trace, name: string, step: number): string | undefined {
  const media = mediaOf(trace, name);
  if (media?.kind === "picture") return media.uri;
  if (media?.kind !== "picture_each_step") return undefined;
  return media.uris[frameOf(media.uris.length, size(trace.looks[name].steps), step)];
}

/** The picture of the whole input, if it is one. */
export function inputPicture(trace: Trace): string | undefined {
  const media = trace.media?.input;
  return media?.kind === "picture" ? media.uri : undefined;
}

/** Pictures of each step, which belong to a look or to the output; those under weights are drawn with the weights. */
export function stepPictures(trace: Trace): { owner: string; uris: string[] } | null {
  for (const [owner, media] of Object.entries(trace.media ?? {})) {
    if (media.kind === "picture_each_step" && trace.looks[owner]?.kind !== "weights") return { owner, uris: media.uris };
  }
  return null;
}

/** The number of the picture that a step belongs to: several windows may share one. */
export function frameOf(pictures: number, steps: number, step: number): number {
  const each = steps % pictures ? 1 : Math.max(steps / pictures, 1);
  return Math.min(Math.floor(step / each), pictures - 1);
}

/** Whether a look is where the model wrote, as DRAW does, and not where it read. */
export function writes(name: string, trace: Trace): boolean {
  return name.startsWith("write") && stepPictures(trace)?.owner === name;
}

export function size(axis: Axis): number {
  switch (axis.kind) {
    case "tokens":
      return axis.tokens.length;
    case "grid":
      return axis.rows * axis.columns;
    case "frames":
      return axis.starts.length;
    case "named":
      return axis.names.length;
  }
}

export function labels(axis: Axis): string[] {
  switch (axis.kind) {
    case "tokens":
      // A subword may be only the space that is put before a text, and has no place in it.
      return axis.tokens.map((token) => visible(token.text || " "));
    case "grid":
      return Array.from({ length: size(axis) }, (_, cell) => {
        return `row ${Math.floor(cell / axis.columns) + 1}, column ${(cell % axis.columns) + 1}`;
      });
    case "frames":
      return axis.starts.map((start) => `${start.toFixed(2)} s`);
    case "named":
      return axis.names.map(visible);
  }
}

/** Short names of cells. */
export function briefly(axis: Axis, names: string[]): string[] {
  if (axis.kind !== "grid") return names;
  return names.map((_, cell) => `${Math.floor(cell / axis.columns) + 1},${(cell % axis.columns) + 1}`);
}

/** A token as it is shown: spaces alone as open boxes, control characters and directional marks replaced. */
export function visible(text: string): string {
  if (text && !text.trim()) return "␣".repeat(Array.from(text).length);
  const shown = harmless(text.trim());
  // What joins characters, or stands on one, is not to be seen by itself.
  if (/^\p{Cf}+$/u.test(shown)) return Array.from(shown, (sign) => `U+${sign.codePointAt(0)!.toString(16).toUpperCase()}`).join(" ");
  return /^\p{M}/u.test(shown) ? `◌${shown}` : shown;
}

/** The text without control characters and directional marks. */
export function harmless(text: string): string {
  return text
    .replace(/[\u0000-\u001f]/g, (control) => String.fromCodePoint(0x2400 + control.codePointAt(0)!))
    .replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu, "\ufffd");
}

export function read(look: Look, unit: Unit): Reading {
  const steps = groups(look.steps, unit);
  if (look.kind === "windows") {
    return { look, steps: labels(look.steps), cells: [], stepTokens: singles(size(look.steps)), cellTokens: [] };
  }
  const cells = groups(look.memory, unit);
  const merged: Weights = {
    ...look,
    steps: steps.axis,
    memory: cells.axis,
    weights:
      unit === "token"
        ? look.weights
        : steps.tokens.map((rows) =>
            cells.tokens.map((columns) => {
              let sum = 0;
              for (const row of rows) for (const column of columns) sum += look.weights[row][column];
              return sum / rows.length;
            }),
          ),
  };
  return {
    look: merged,
    steps: labels(steps.axis),
    cells: labels(cells.axis),
    stepTokens: steps.tokens,
    cellTokens: cells.tokens,
  };
}

/** Whether some words have several tokens, on either side. */
export function hasWords(look: Look): boolean {
  const axes = look.kind === "weights" ? [look.steps, look.memory] : [];
  return axes.some((axis) => groups(axis, "word").tokens.length !== size(axis));
}

function singles(count: number): number[][] {
  return Array.from({ length: count }, (_, index) => [index]);
}

// Words are the runs of the text between white space; a token that reaches over several joins them, one of white space
// alone belongs to the word after it, or to the last, and a special one stays on its own. Offsets count characters
// (code points), not units of UTF-16.
function groups(axis: Axis, unit: Unit): { axis: Axis; tokens: number[][] } {
  if (unit === "token" || axis.kind !== "tokens") return { axis, tokens: singles(size(axis)) };
  const characters = Array.from(axis.text);
  const spans: [number, number][] = [];
  characters.forEach((character, place) => {
    if (/\s/u.test(character)) return;
    const last = spans[spans.length - 1];
    if (last && last[1] === place) last[1] = place + 1;
    else spans.push([place, place + 1]);
  });
  const words: Token[] = [];
  const members: number[][] = [];
  axis.tokens.forEach((token, index) => {
    const { start, end } = token;
    let overlapped: [number, number][] = [];
    if (start !== null && end !== null) {
      overlapped = spans.filter((span) => span[0] < Math.max(end, start + 1) && start < span[1]);
      if (!overlapped.length) overlapped = [spans.find((span) => start <= span[0]) ?? spans[spans.length - 1]].filter(Boolean);
    }
    if (!overlapped.length) {
      words.push(token);
      members.push([index]);
      return;
    }
    let [from, to] = [overlapped[0][0], overlapped[overlapped.length - 1][1]];
    const last = words[words.length - 1];
    let tokens = [index];
    if (last && last.start !== null && last.end !== null && from < last.end) {
      from = Math.min(from, last.start);
      to = Math.max(to, last.end);
      words.pop();
      tokens = [...members.pop()!, index];
    }
    const unknown = tokens.some((member) => axis.tokens[member].unknown);
    words.push({ text: characters.slice(from, to).join(""), start: from, end: to, unknown });
    members.push(tokens);
  });
  return { axis: { kind: "tokens", text: axis.text, tokens: words }, tokens: members };
}

/** The index of the strongest weight, -1 if all are zero. */
export function strongest(weights: ArrayLike<number>): number {
  let best = -1;
  for (let index = 0; index < weights.length; index++) {
    if (weights[index] > (best < 0 ? 0 : weights[best])) best = index;
  }
  return best;
}

/** The index of the strongest weight, -1 if all are equal. */
export function marked(weights: ArrayLike<number>): number {
  const best = strongest(weights);
  for (let index = 0; index < weights.length; index++) if (weights[best] - weights[index] > 1e-6) return best;
  return weights.length === 1 ? best : -1;
}

export function column(weights: number[][], cell: number): number[] {
  return weights.map((row) => row[cell]);
}

export function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += values[index];
  return total;
}

/** Normalised entropy: that of the weights made to sum to one, divided by that of uniform weights. */
export function spread(weights: ArrayLike<number>): number {
  const total = sum(weights);
  if (total <= 0 || weights.length < 2) return 0;
  let entropy = 0;
  for (let index = 0; index < weights.length; index++) {
    const share = weights[index] / total;
    if (share > 0) entropy -= share * Math.log(share);
  }
  return entropy / Math.log(weights.length);
}

export function coverage(look: Weights): number[] {
  const sums = new Array<number>(size(look.memory)).fill(0);
  for (const row of look.weights) row.forEach((weight, cell) => (sums[cell] += weight));
  return sums;
}

export function isSpecial(axis: Axis, index: number): boolean {
  return axis.kind === "tokens" && axis.tokens[index].start === null;
}

/** The indices that are not special tokens, which links count. */
export function unspecial(axis: Axis): number[] {
  return Array.from({ length: size(axis) }, (_, index) => index).filter((index) => !isSpecial(axis, index));
}

export const NEAR_UNIFORM = 0.9;
export const NEVER_ATTENDED = 0.1;

export function neverAttended(look: Weights): number[] {
  const covered = coverage(look);
  const least = (NEVER_ATTENDED * sum(covered)) / Math.max(covered.length, 1);
  return covered.flatMap((value, cell) => (value < least && !isSpecial(look.memory, cell) ? [cell] : []));
}

/** Warnings about a look, as `attend.show.reading.badges`. */
export function badges(look: Weights): string[] {
  const steps = look.weights.length;
  if (!steps || size(look.memory) < 2) return [];
  const found: string[] = [];
  const even = look.weights.filter((row) => spread(row) >= NEAR_UNIFORM).length;
  if (even / steps >= 0.5) found.push("near-uniform");
  const most = look.weights.map((row) => Math.max(0, strongest(row)));
  if (steps > 1 && most.every((cell) => cell === most[0])) found.push("does not move");
  const names = labels(look.memory);
  const unread = neverAttended(look).map((cell) => names[cell]);
  if (unread.length) {
    if (look.memory.kind !== "tokens" && unread.length > 5) {
      return [...found, `never attended: ${unread.length} of ${names.length} cells`];
    }
    const more = unread.length > 5 ? ` and ${unread.length - 5} more` : "";
    found.push(`never attended: ${unread.slice(0, 5).join(", ")}${more}`);
  }
  return found;
}

/** Links of each step to its strongest cell, both counted without special tokens, as in Pharaoh. */
export function links(look: Weights): Link[] {
  const numbering = (axis: Axis) => {
    let next = 0;
    return Array.from({ length: size(axis) }, (_, index) => (isSpecial(axis, index) ? -1 : next++));
  };
  const [sources, targets] = [numbering(look.memory), numbering(look.steps)];
  return look.weights.flatMap((row, step): Link[] => {
    const cell = strongest(row);
    return cell >= 0 && sources[cell] >= 0 && targets[step] >= 0 ? [[sources[cell], targets[step]]] : [];
  });
}

/** 1 - (|A n S| + |A n P|) / (|A| + |S|), null if both are empty. */
export function alignmentErrorRate(found: Link[], gold: Gold): number | null {
  const has = (set: Link[]) => {
    const keys = new Set(set.map(String));
    return found.filter((link) => keys.has(String(link))).length;
  };
  const whole = found.length + gold.sure.length;
  return whole ? 1 - (has(gold.sure) + has(gold.possible)) / whole : null;
}

/** Spearman's rank correlation of two rows, null where one of them does not vary. */
export function rankCorrelation(first: number[], second: number[]): number | null {
  const ranks = (values: number[]) => {
    const order = values.map((value, index) => [value, index]).sort((a, b) => a[0] - b[0]);
    const found = new Array<number>(values.length);
    for (let from = 0; from < order.length; ) {
      let to = from;
      while (to + 1 < order.length && order[to + 1][0] === order[from][0]) to++;
      for (let place = from; place <= to; place++) found[order[place][1]] = (from + to) / 2;
      from = to + 1;
    }
    return found;
  };
  const [a, b] = [ranks(first), ranks(second)];
  const middle = (a.length - 1) / 2;
  let [covariance, spreadA, spreadB] = [0, 0, 0];
  a.forEach((rank, index) => {
    covariance += (rank - middle) * (b[index] - middle);
    spreadA += (rank - middle) ** 2;
    spreadB += (b[index] - middle) ** 2;
  });
  return spreadA && spreadB ? covariance / Math.sqrt(spreadA * spreadB) : null;
}

/** The log-probability of each step in its unit: pieces of a word add up. Null where the trace has none, or rows are no steps. */
export function stepLogProbs(trace: Trace, reading: Reading): number[] | null {
  return inUnit(trace, trace.scores, reading);
}

/** The entropy of each step's prediction, in nats, likewise. */
export function stepEntropies(trace: Trace, reading: Reading): number[] | null {
  return inUnit(trace, trace.entropies, reading);
}

function inUnit(trace: Trace, values: number[] | null | undefined, reading: Reading): number[] | null {
  if (!values || ofInput(trace, reading.look) || reading.stepTokens.some((tokens) => tokens.some((token) => token >= values.length))) return null;
  return reading.stepTokens.map((tokens) => sum(tokens.map((token) => values[token])));
}

/** The strongest cells of a step in order: up to three of at least 0.05, and always the strongest. */
export function ranking(weights: ArrayLike<number>): number[] {
  const best: number[] = [];
  for (let index = 0; index < weights.length; index++) {
    if (weights[index] <= 0) continue;
    let place = best.length;
    while (place > 0 && weights[best[place - 1]] < weights[index]) place--;
    if (place < 3) {
      best.splice(place, 0, index);
      best.length = Math.min(best.length, 3);
    }
  }
  return best.filter((index, rank) => rank === 0 || weights[index] >= 0.05);
}
