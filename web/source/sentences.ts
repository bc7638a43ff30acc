// Input and output as running text: pointing at a word on one side shades the weights on the other.

import { draw, isolated, make, pictured, type Child } from "./elements";
import { slotsOf } from "./slots";
import { steered, View } from "./view";
import { answers, column, fieldsOf, harmless, inputPicture, labels, mediaOf, size, stepLogProbs, strongest, visible, type Axis } from "./trace";

const UNSURE = Math.log(0.5);
const MOST_NAMES = 80;
const LONG = 150;
const THUMBNAIL = 44;
// Of classes, how many are named with their probabilities.
const LIKELIEST = 4;

export class Sentences extends View {
  private cells: (HTMLElement | undefined)[] = [];
  private steps: (HTMLElement | undefined)[] = [];
  private lit: HTMLElement[] = [];

  protected draw(): void {
    const { entry, reading, ofInput, sides } = this.panel;
    const { look } = reading;
    this.cells = [];
    this.steps = [];
    this.lit = [];
    // Vectors and slots are drawn, and too many to be read.
    if (slotsOf(entry.trace)) {
      this.append(this.sentence("Input", "source", [entry.trace.input], null), this.sentence("Output", "output", [entry.trace.output], null));
      return;
    }
    const cells = look.kind === "weights" && look.memory.kind !== "grid" ? this.line(look.memory, "cell") : null;
    const rows = ofInput && look.steps.kind !== "grid" ? this.line(look.steps, "step") : null;
    const media = mediaOf(entry.trace, this.panel.name);
    const sound = media?.kind === "sound" ? [" ", make("audio", { controls: true, preload: "metadata", src: media.uri, "aria-label": "The sound that was given" })] : [];
    const fields = fieldsOf(entry.trace);
    for (const [name, text] of fields) {
      let line = this.sentence(name, "source", [text], null);
      if (cells && name === sides.cells) line = this.sentence(name, "source", [...cells, ...sound], "cell");
      else if (rows && name === sides.steps) line = this.sentence(name, "source rows", rows, "step");
      line.prepend(side(name));
      this.append(line);
    }
    // What has no name among the inputs stands by itself.
    if (!fields.length || (cells && !sides.cells)) this.append(this.sentence("Input", "source", [...(cells ?? [entry.trace.input]), ...sound], "cell"));
    if (rows && !sides.steps) this.append(this.sentence("Rows", "source rows", rows, "step"));
    const output = this.sentence("Output", "output", this.output(), ofInput ? null : "step");
    if (fields.length) output.prepend(side(answers(entry.trace) ? "answer" : "output"));
    this.append(output);
  }

  private output(): Child[] {
    const { entry, reading, ofInput } = this.panel;
    const { look } = reading;
    // A class that is its own only step has nothing to point at.
    const answered = ofInput || (look.steps.kind !== "tokens" && labels(look.steps).join() === entry.trace.output);
    const output = answered ? [isolated(entry.trace.output)] : this.line(look.steps, "step");
    // Steps that are not the output's tokens (hops, glimpses) follow it.
    if (look.steps.kind !== "tokens" && entry.trace.output && !answered) output.unshift(isolated(entry.trace.output), make("span", { class: "after" }, " after steps "));
    if (entry.trace.finished === false) output.push(make("span", { class: "after" }, " cut off at the greatest length"));
    return [...output, ...this.likely()];
  }

  /** The probabilities of the answers that there are, where no picture has them beside it. */
  private likely(): Child[] {
    const { trace } = this.panel.entry;
    if (!answers(trace) || this.panel.reading.look.kind === "windows" || (inputPicture(trace) && !Object.keys(trace.looks).length)) return [];
    const all = [...trace.alternatives!.at(-1)!].sort((a, b) => b.log_prob - a.log_prob);
    const chance = (logProb: number) => Math.exp(logProb).toFixed(2);
    const others = all.filter(({ text }) => text !== trace.output).slice(0, LIKELIEST - 1);
    const written = all.find(({ text }) => text === trace.output)!;
    const more = others.flatMap(({ text, log_prob }, index): Child[] => [index ? ", " : "; ", isolated(visible(text)), ` ${chance(log_prob)}`]);
    const left = all.length - others.length - 1;
    return [make("span", { class: "after" }, ` probability ${chance(written.log_prob)}`, ...more, left ? `, and ${left} more` : "")];
  }

  /** A side of the example, whose words the keyboard can move through too. */
  private sentence(name: string, side: string, parts: Child[], kind: "step" | "cell" | null): HTMLElement {
    const made = make("p", { class: parts.length > LONG ? `sentence ${side} long` : `sentence ${side}`, dir: "auto" });
    if (!kind || !(kind === "step" ? this.steps : this.cells).length) {
      made.append(...parts);
      return made;
    }
    const words = make("span", { class: "words" }, ...parts);
    const along = kind === "step" ? ({ step: "horizontal", cell: "none" } as const) : ({ step: "none", cell: "horizontal" } as const);
    steered(words, this.panel, `${name}: ${words.textContent}`, along);
    made.append(words);
    return made;
  }

  private line(axis: Axis, kind: "step" | "cell"): Child[] {
    const made = kind === "step" ? this.steps : this.cells;
    const logs = kind === "step" ? stepLogProbs(this.panel.entry.trace, this.panel.reading) : null;
    const media = kind === "cell" ? mediaOf(this.panel.entry.trace, this.panel.name) : undefined;
    const thumbnails = media?.kind === "picture_each_cell" ? media.uris : [];
    const piece = (index: number, text: string, special: boolean, unknown = false) => {
      const span = make("span", { class: special ? "piece special" : "piece" }, thumbnails[index] ? thumbnail(thumbnails[index], text) : harmless(text));
      if (logs && logs[index] < UNSURE) span.classList.add("unsure");
      if (unknown) {
        span.classList.add("unknown");
        span.title = "in no vocabulary: the model knows it as <unk>";
      }
      this.point(span, kind, index);
      made[index] = span;
      return span;
    };
    if (axis.kind !== "tokens") {
      const names = labels(axis);
      if (size(axis) > MOST_NAMES) return [`${size(axis)} ${axis.kind === "frames" ? "frames" : "cells"}`];
      return names.flatMap((name, index): Child[] => [piece(index, name, true), " "]);
    }
    const characters = Array.from(axis.text);
    const parts: Child[] = [];
    let at = 0;
    axis.tokens.forEach((token, index) => {
      if (token.start === null || token.end === null) {
        parts.push(piece(index, visible(token.text), true));
        return;
      }
      const begin = Math.max(token.start, at);
      if (begin > at) parts.push(characters.slice(at, begin).join(""));
      const text = characters.slice(begin, Math.max(token.end, begin)).join("");
      // White space in front of a word is not shaded with it.
      const space = /^\s+(?=\S)/u.exec(text)?.[0] ?? "";
      if (space) parts.push(space);
      if (text.length > space.length) parts.push(piece(index, text.slice(space.length), false, token.unknown));
      at = Math.max(token.end, begin);
    });
    if (at < characters.length) parts.push(characters.slice(at).join(""));
    return parts;
  }

  private point(span: HTMLElement, kind: "step" | "cell", index: number): void {
    const { store, act, ofInput } = this.panel;
    const place = kind === "step" ? { step: index, cell: -1 } : { step: -1, cell: index };
    span.addEventListener("pointerenter", () => store.light(place));
    span.addEventListener("pointerleave", () => store.light({ step: -1, cell: -1 }));
    span.addEventListener("click", () => {
      store.togglePin(place);
      const pinned = store.settings.pins.some((pin) => pin.step === place.step && pin.cell === place.cell);
      if (kind === "step" && pinned && !ofInput) act.offer(this.panel, index, false);
    });
  }

  override light(): void {
    for (const span of this.lit) {
      span.classList.remove("here", "best", "pinned");
      span.style.removeProperty("--weight");
    }
    this.lit = [];
    const { look } = this.panel.reading;
    const { step, cell } = this.place;
    const here = (span: HTMLElement | undefined) => {
      if (!span) return;
      span.classList.add("here");
      this.lit.push(span);
    };
    for (const pin of this.settings.pins) {
      for (const span of [this.steps[pin.step], this.cells[pin.cell]]) {
        if (!span) continue;
        span.classList.add("pinned");
        this.lit.push(span);
      }
    }
    here(this.steps[step]);
    if (this.contains(document.activeElement)) (this.steps[step] ?? this.cells[cell])?.scrollIntoView({ block: "nearest" });
    if (look.kind !== "weights") return;
    if (step >= 0 && step < look.weights.length) this.shade(this.cells, look.weights[step]);
    else if (cell >= 0) {
      here(this.cells[cell]);
      this.shade(this.steps, column(look.weights, cell));
    }
  }

  private shade(spans: (HTMLElement | undefined)[], weights: number[]): void {
    const best = strongest(weights);
    if (best < 0) return;
    weights.forEach((weight, index) => {
      const span = spans[index];
      if (!span || weight < 0.02) return;
      span.style.setProperty("--weight", String(Math.min(weight / weights[best], 1)));
      if (index === best) span.classList.add("best");
      this.lit.push(span);
    });
  }
}

/** What a line is, which does not turn its direction. */
function side(name: string): HTMLElement {
  return make("bdi", { class: "side" }, `${harmless(name)} `);
}

function thumbnail(uri: string, name: string): SVGSVGElement {
  const size = { width: THUMBNAIL, height: THUMBNAIL };
  const image = pictured(uri, { ...size, preserveAspectRatio: "xMidYMid meet" });
  return draw("svg", { ...size, role: "img", class: "thumbnail" }, draw("title", {}, harmless(name)), image);
}

customElements.define("attend-sentences", Sentences);

