// The tree of a beam search: hypotheses that were kept, finished and pruned.

import { hierarchy, type HierarchyNode } from "d3-hierarchy";
import { button, curve, draw, FONT, isolated, make, scrolling, shorten } from "./elements";
import { LIGHT, palette, type Palette } from "./colour";
import { framed, saving, View } from "./view";
import { visible, type Node as Tried } from "./trace";

const ROW = 21;
const STEP = 92;
const IDLE = "Arrow keys walk through the tree.";

type Placed = HierarchyNode<Item> & { row: number };

interface Item {
  number: number;
  node: Tried | null;
  children: Item[];
}

export class Beam extends View {
  private marks: { item: Placed; element: SVGGElement }[] = [];
  private edges: { to: Placed; element: SVGPathElement }[] = [];
  private chosen: Placed | null = null;
  /** The nodes of the output, which are the steps of the look. */
  private best = new Set<number>();
  private said = make("p", { class: "quiet beam-said", "aria-live": "polite" });

  protected draw(): void {
    const { store, entry, act } = this.panel;
    const pruned = make("input", { type: "checkbox" });
    pruned.checked = this.settings.pruned;
    pruned.addEventListener("change", () => store.change({ pruned: pruned.checked }, false));
    const toggle = make("label", { class: "check" }, pruned, " pruned");
    if (this.settings.table) {
      this.append(framed("Beam", [toggle], scrolling("Table of the search", true, this.table())));
      return;
    }
    const body = make("div", { class: "scroll tall" });
    this.said = make("p", { class: "quiet beam-said", "aria-live": "polite" }, IDLE);
    const picture = this.drawing(palette(), true);
    body.append(picture);
    const legend = make(
      "p",
      { class: "legend" },
      make("span", {}, "● kept"),
      make("span", {}, "■ finished"),
      make("span", {}, "× pruned"),
      make("span", {}, "thick: the output"),
    );
    const onward = button("Go on from here", () => this.goOn(), { class: "go-on" });
    onward.hidden = !act.canAsk(entry);
    this.append(framed("Beam", [toggle, saving("beam", () => this.drawing(LIGHT, false))], body, this.said, onward, legend));
    this.walk(body);
  }

  /** As a table: a row for each node, step by step. */
  private table(): HTMLElement {
    const all = (hierarchy(this.items()) as Placed).descendants().slice(1);
    const best = this.output(all);
    const text = (item: Placed) => item.ancestors().reverse().slice(1).map((ancestor) => visible(ancestor.data.node!.text)).join(" ");
    const rows = all.map((item) => {
      const { fate, log_prob, score } = item.data.node!;
      const written = make(best.has(item.data.number) ? "strong" : "span", {}, isolated(text(item)));
      const cells = [written, fate, log_prob.toFixed(2), score.toFixed(2)].map((cell) => make("td", {}, cell));
      return make("tr", {}, make("th", { scope: "row" }, String(item.depth)), ...cells);
    });
    const heads = ["step", "written so far", "fate", "log p", "score"].map((name) => make("th", { scope: "col" }, name));
    const caption = make("caption", { class: "spoken" }, "What beam search tried, step by step; what led to the output in bold");
    return make("table", { class: "plain-table figures" }, caption, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  }

  private items(): Item {
    const root: Item = { number: -1, node: null, children: [] };
    const all: Item[] = [];
    (this.panel.entry.trace.search ?? []).forEach((node, number) => {
      const item = { number, node, children: [] };
      all.push(item);
      if (node.fate === "pruned" && !this.settings.pruned) return;
      (node.parent === null ? root : all[node.parent]).children.push(item);
    });
    return root;
  }

  private drawing(colours: Palette, live: boolean): SVGSVGElement {
    const root = hierarchy(this.items()) as Placed;
    const best = this.output(root.descendants());
    root.sort((a, b) => Number(best.has(b.data.number)) - Number(best.has(a.data.number)) || worth(b) - worth(a));
    const rows = place(root);
    const all = root.descendants();
    const width = (root.height + 1) * STEP + 40;
    const height = (rows + 1) * ROW;
    const edges = (root.links() as { source: Placed; target: Placed }[]).map((edge) => {
      const thick = best.has(edge.target.data.number);
      const look = { fill: "none", stroke: thick ? colours.full : colours.quiet, "stroke-width": thick ? 2.5 : 0.75 };
      return { to: edge.target, element: draw("path", { ...look, d: curve([x(edge.source), y(edge.source)], [x(edge.target), y(edge.target)]) }) };
    });
    const marks = all
      .filter((item) => item.data.node)
      .map((item) => ({ item, element: this.mark(item, colours, best.has(item.data.number)) }));
    const start = draw("circle", { cx: x(root), cy: y(root), r: 3, fill: colours.quiet });
    const picture = draw("svg", {
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "font-family": FONT,
      role: "img",
      "aria-label": "Beam search tree",
    });
    const ground = draw("rect", { width, height, fill: colours.paper });
    picture.append(ground, ...edges.map(({ element }) => element), start, ...marks.map(({ element }) => element));
    if (live) {
      [this.marks, this.edges, this.best, this.chosen] = [marks, edges, best, null];
      for (const { item, element } of marks) {
        element.addEventListener("pointerenter", () => this.follow(item));
        element.addEventListener("click", () => this.choose(item, true));
      }
      picture.addEventListener("pointerleave", () => {
        this.follow(this.chosen);
        this.panel.store.light({ step: -1, cell: -1 });
      });
    }
    return picture;
  }

  /** The nodes of the output that the trace is about. */
  private output(all: Placed[]): Set<number> {
    const ids = this.panel.entry.trace.ids ?? [];
    const path = (item: Placed) => idsTo(item).join(" ");
    const end = all.find((item) => item.depth === ids.length && path(item) === ids.join(" "));
    return new Set(end?.ancestors().map((item) => item.data.number) ?? []);
  }

  private mark(item: Placed, colours: Palette, thick: boolean): SVGGElement {
    const node = item.data.node!;
    const shape =
      node.fate === "kept"
        ? draw("circle", { r: 4, fill: thick ? colours.full : colours.quiet })
        : node.fate === "finished"
          ? draw("rect", { x: -4.5, y: -4.5, width: 9, height: 9, fill: thick ? colours.full : colours.quiet })
          : draw("path", { d: "M-3.5-3.5L3.5 3.5M3.5-3.5L-3.5 3.5", stroke: colours.quiet, "stroke-width": 1.5 });
    const quiet = node.fate === "pruned";
    const text = {
      x: 9,
      y: 4,
      "font-size": 12,
      fill: quiet ? colours.quiet : colours.ink,
      stroke: colours.paper,
      "stroke-width": 3,
      "paint-order": "stroke",
      "font-weight": thick ? 600 : 400,
    };
    const label = draw("text", text, shorten(visible(node.text), 12, STEP - 34));
    const at = `translate(${x(item)} ${y(item)})`;
    return draw("g", { transform: at, class: "node", "data-number": item.data.number }, draw("title", {}, told(item)), shape, label);
  }

  private choose(item: Placed, pin: boolean): void {
    this.chosen = item;
    this.follow(item);
    const step = this.stepOf(item);
    const { store } = this.panel;
    store.upTo = step >= 0 ? step : null;
    if (pin && step >= 0) store.togglePin({ step, cell: -1 });
    else store.onLight(false);
  }

  /** Mark the path to a node, and highlight its step if the output has it. */
  private follow(item: Placed | null): void {
    const path = new Set(item?.ancestors().map((ancestor) => ancestor.data.number));
    for (const { item: other, element } of this.marks) element.classList.toggle("on-path", path.has(other.data.number));
    for (const { to, element } of this.edges) element.classList.toggle("on-path", path.has(to.data.number));
    this.said.textContent = item ? told(item) : IDLE;
    if (item) this.panel.store.light({ step: this.stepOf(item), cell: -1 });
  }

  /** The step of a node: -1 if it is not on the output's path. */
  private stepOf(item: Placed): number {
    if (!this.best.has(item.data.number)) return -1;
    return this.panel.reading.stepTokens.findIndex((tokens) => tokens.includes(item.depth - 1));
  }

  override light(): void {
    const { step } = this.place;
    for (const { item, element } of this.marks) element.classList.toggle("here", step >= 0 && this.stepOf(item) === step);
  }

  private goOn(): void {
    if (this.chosen) this.panel.act.goOn(this.panel, idsTo(this.chosen));
    else this.said.textContent = "Choose a node first: click it, or walk to it with the arrow keys.";
  }

  private walk(body: HTMLElement): void {
    body.tabIndex = 0;
    body.setAttribute("role", "application");
    body.setAttribute("aria-label", "Beam search tree. Arrow keys walk, Enter goes on from a node where the model is there.");
    body.addEventListener("keydown", (event) => {
      const now = this.chosen;
      const level = (now?.parent?.children ?? []) as Placed[];
      const place = now ? level.indexOf(now) : -1;
      const next: Record<string, Placed | null | undefined> = {
        ArrowRight: now ? (now.children?.[0] as Placed) : this.marks[0]?.item,
        ArrowLeft: now?.parent as Placed | null,
        ArrowUp: level[place - 1],
        ArrowDown: level[place + 1],
      };
      if (event.key === "Enter") {
        event.preventDefault();
        this.goOn();
      } else if (!(event.key in next) && !event.ctrlKey && !event.metaKey && !event.altKey) {
        if (this.panel.act.key(event.key, this.panel)) event.preventDefault();
      }
      if (!(event.key in next)) return;
      event.preventDefault();
      const to = next[event.key] ?? (now ? null : this.marks[0]?.item);
      if (!to?.data.node) return;
      this.choose(to, false);
      this.marks.find(({ item }) => item === to)?.element.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }
}

function x(item: Placed): number {
  return item.depth * STEP + 14;
}

function y(item: Placed): number {
  return (item.row + 1) * ROW;
}

function worth(item: Placed): number {
  return item.data.node?.score ?? 0;
}

/** Give each node its row, in the order of the parents, so that no two edges cross; returns the number of rows. */
function place(root: Placed): number {
  let rows = 1;
  for (let level = [root]; level.length; level = level.flatMap((item) => (item.children ?? []) as Placed[])) {
    level.forEach((item, row) => (item.row = row));
    rows = Math.max(rows, level.length);
  }
  return rows;
}

function idsTo(item: Placed): number[] {
  return item
    .ancestors()
    .reverse()
    .flatMap((ancestor) => (ancestor.data.node ? [ancestor.data.node.id] : []));
}

function told(item: Placed): string {
  const node = item.data.node!;
  const figures = `log p ${node.log_prob.toFixed(2)}, score ${node.score.toFixed(2)}`;
  return `“${visible(node.text)}”, step ${item.depth}, ${node.fate}: ${figures}`;
}

customElements.define("attend-beam", Beam);
