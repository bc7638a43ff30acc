// The page: its views, and the requests to the model behind it.

import "./matrix";
import "./sentences";
import "./arcs";
import { tellsStory } from "./story";
import "./strips";
import "./alternatives";
import "./beam";
import "./picture";
import "./drawing";
import "./memory";
import { unlooked } from "./windows";
import "./difference";
import { aim, FORCED, forcedRow, upTo } from "./act";
import { Client, Refused, type ModelInfo } from "./client";
import { onSchemeChange } from "./colour";
import { type Difference } from "./difference";
import { asked as askedWith, box, fitting } from "./composer";
import { button, choice, isolated, make } from "./elements";
import { SENTENCE } from "./evidence";
import type { Act, Forced, Panel } from "./panel";
import { csv, json, nematus, onePage, pharaoh, saveFile } from "./save";
import { BOTH, INITIAL, linked, NOWHERE, Store, understood, VIEWS, type Ask, type Asked, type Entry, type Input, type ViewName } from "./store";
import { heads, slotsOf } from "./slots";
import "./table";
import { answers, badges, hasWords, inputPicture, ofInput, ranking, read, sidesOf, stepLogProbs, stepPictures, understoodTrace, type Look, type Trace } from "./trace";
import { summary, View } from "./view";

const ELEMENTS: Record<Exclude<ViewName, "difference">, string> = {
  memory: "attend-memory",
  story: "attend-story",
  matrix: "attend-matrix",
  arcs: "attend-arcs",
  strips: "attend-strips",
  picture: "attend-picture",
  drawing: "attend-drawing",
  windows: "attend-windows",
  alternatives: "attend-alternatives",
  beam: "attend-beam",
  evidence: "attend-why",
};
// Views that stand side by side, two in a row; an odd one stands beside the strips.
const HALVES: ViewName[] = ["alternatives", "matrix", "arcs"];
const MOST_ARC_CELLS = 200;
const KEYS: [string, string][] = [
  ["Tab", "to the next view or button"],
  ["Arrow keys", "move through steps and cells"],
  ["Home, End, Page Up, Page Down", "to the ends, or ten steps on"],
  ["Enter or Space", "pin the place in focus, or unpin it"],
  ["Escape", "unpin everything"],
  ["a", "what else could stand at this step"],
  ["o, u, w", "make this step look only here, everywhere alike, here and beside, and write on"],
  ["y", "why? what the output depends on"],
  ["t", "a table instead of pictures"],
  ["z", "undo: take the last new trace away"],
  ["?", "this list"],
];

class Explorer extends HTMLElement implements Act {
  private readonly store = new Store();
  private client: Client | null = null;
  private models: ModelInfo[] = [];
  private views: View[] = [];
  private panels: Panel[] = [];
  private difference: Difference | null = null;
  private bars: { panel: Panel; bar: HTMLElement; actions: HTMLElement }[] = [];
  private readonly spoken = make("p", { class: "spoken", "aria-live": "polite", role: "status" });
  private readonly said = make("p", { class: "said", "aria-live": "polite" });
  private readonly stage = make("main", { class: "stage-all" });
  private asking: AbortController | null = null;
  /** How many traces came with the page: those can't be undone. */
  private given = 0;

  connectedCallback(): void {
    if (document.querySelector("meta[name=attend-server]")) this.client = new Client();
    const holder = document.getElementById("traces");
    const given: unknown = holder ? JSON.parse(holder.textContent || "[]") : [];
    const traces = Array.isArray(given) ? given.map(understoodTrace).filter((trace) => trace !== null) : [];
    this.store.entries = traces.map((trace) => ({ trace, label: "", ask: null }));
    this.given = traces.length;
    const { settings, asked } = understood(location.hash, this.store.entries);
    this.store.settings = settings;
    this.store.onChange = () => this.render();
    this.store.onLight = (spoken) => this.light(spoken);
    this.append(this.top(), this.stage, this.spoken);
    this.render();
    this.openAtPin();
    onSchemeChange(() => this.render());
    window.addEventListener("hashchange", () => void this.follow());
    document.addEventListener("keydown", (event) => this.anywhere(event));
    document.addEventListener("pointerdown", (event) => {
      const menu = this.openMenu();
      if (menu && !menu.contains(event.target as Node)) menu.open = false;
    });
    let width = window.innerWidth;
    window.addEventListener("resize", () => {
      if (width !== window.innerWidth) this.render();
      width = window.innerWidth;
    });
    this.addEventListener("dragover", (event) => event.preventDefault());
    this.addEventListener("drop", (event) => {
      event.preventDefault();
      void this.open([...(event.dataTransfer?.files ?? [])]);
    });
    if (this.client) void this.meet(asked);
  }

  /** Load the list of models, and repeat the requests in the address. */
  private async meet(asked: Asked[]): Promise<void> {
    try {
      this.models = await this.client!.models();
    } catch (error) {
      this.render();
      this.say(sentence(error));
      return;
    }
    this.render();
    const first = this.models.find((model) => model.examples.length);
    if (!asked.length && !this.store.entries.length && first) {
      // Models that were started with the same text stand side by side.
      const input = first.examples[0];
      const alike = this.models.filter((model) => JSON.stringify(model.examples[0]) === JSON.stringify(input)).slice(0, 2);
      asked = alike.map((model, index) => ({ index, label: "", ask: { model: model.name, input, ...searching(model, widthOf(model)) } }));
      const { settings } = this.store;
      if (settings.shown === INITIAL.shown) this.store.settings = { ...settings, shown: alike.map((_, index) => index) };
    }
    for (const { index, label, ask } of asked) {
      if (index !== this.store.entries.length) continue;
      const trace = await this.fetched(ask, false);
      if (!trace) break;
      const evidence = ask.why ? await this.evidence(ask, trace) : undefined;
      this.store.entries = [...this.store.entries, { trace: { ...trace, ...evidence }, label, ask }];
    }
    this.render();
    this.openAtPin();
  }

  /** Follow a new address, and make the requests in it that are not on the page yet. */
  private async follow(): Promise<void> {
    const { entries } = this.store;
    const { settings, asked } = understood(location.hash, entries);
    this.store.settings = settings;
    this.draft = null;
    if (this.client && !asked.every(({ index, ask }) => JSON.stringify(entries[index]?.ask) === JSON.stringify(ask))) {
      this.store.entries = entries.slice(0, this.given);
      await this.meet(asked);
      return;
    }
    this.render();
    this.openAtPin();
  }

  /** Keys that mean the same wherever the focus is, but where one writes. */
  private anywhere(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if ((event.target as HTMLElement).closest("input:not([type=range]), select, textarea, dialog")) return;
    const menu = this.openMenu();
    if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    } else if (event.key === "Escape") this.store.unpin();
    else if (event.key === "?") this.keys();
    else if ("tz".includes(event.key) && this.panels.length && this.key(event.key, this.panels[0])) event.preventDefault();
  }

  private openMenu(): HTMLDetailsElement | null {
    return this.querySelector<HTMLDetailsElement>("details.menu[open]");
  }

  // ----- drawing

  private top(): HTMLElement {
    const title = document.querySelector("[data-title]")?.textContent ?? document.title;
    const file = make("input", { type: "file", accept: ".json,application/json", multiple: true, hidden: true });
    file.addEventListener("change", () => {
      void this.open([...(file.files ?? [])]);
      file.value = ""; // so that the same file can be opened again
    });
    const link = button("Copy link", () => void this.copyLink());
    return make(
      "header",
      { class: "top" },
      make("div", { class: "top-title" }, make("span", { class: "mark", "aria-hidden": "true" }, "attend"), make("h1", { dir: "auto" }, title)),
      make("div", { class: "top-tools" }, button("Open trace…", () => file.click()), link, button("Keys", () => this.keys()), file),
    );
  }

  private render(): void {
    const before = kept(document.activeElement);
    const scrolled = window.scrollY;
    const { entries, settings } = this.store;
    const there = settings.shown.filter((index) => index < entries.length);
    const shown = there.length || !entries.length ? there : [0];
    this.panels = shown.map((index) => this.panel(entries[index], index));
    this.views = [];
    this.bars = [];
    this.difference = null;
    const parts: HTMLElement[] = [];
    if (this.client) parts.push(this.composer());
    parts.push(this.said);
    if (entries.length > 1) parts.push(this.traces());
    if (this.panels.length) parts.push(this.toolbar());
    const main = make("div", { class: this.panels.length > 1 ? "panels two" : "panels" });
    parts.push(main);
    if (!this.panels.length) main.append(this.nothing());
    this.stage.style.minHeight = `${this.stage.offsetHeight}px`;
    this.stage.replaceChildren(...parts);
    for (const panel of this.panels) this.fill(main, panel);
    if (this.panels.length === 2 && settings.views.includes("difference")) {
      const [first, second] = this.panels;
      const element = document.createElement("attend-difference") as Difference;
      main.append(element);
      this.difference = element.show(first, second);
    }

    this.stage.append(make("footer", { class: "foot" }, make("p", {}, SENTENCE)));
    this.stage.style.minHeight = "";
    window.scrollTo({ top: scrolled, behavior: "instant" });
    before?.();
    this.light(false);
  }

  private panel(entry: Entry, index: number): Panel {
    const names = Object.keys(entry.trace.looks);
    const name = names.includes(this.store.settings.look) ? this.store.settings.look : (names[0] ?? "");
    const look = lookOf(entry.trace, name);
    const tokens = read(look, "token");
    const reading = this.store.settings.unit === "word" ? read(look, "word") : tokens;
    const rows = { ofInput: ofInput(entry.trace, look), sides: sidesOf(entry.trace, name) };
    return { entry, index, name, reading, tokens, ...rows, store: this.store, act: this };
  }

  private nothing(): HTMLElement {
    const [model] = this.models;
    const names = Object.keys(model?.inputs ?? {});
    const one = model?.reads === "image" ? "Choose a picture above" : "Write something above";
    const first = names.length > 1 ? `Give ${names.slice(0, -1).join(", ")} and ${names.at(-1)} above` : one;
    const text = this.client
      ? `${first}, and see where the model looks.`
      : "There is no trace here yet: open one, or drop its .json file on this page.";
    return make("p", { class: "nothing" }, text);
  }

  private available(panel: Panel): ViewName[] {
    const { trace } = panel.entry;
    const { look, cells, steps } = panel.reading;
    const found: ViewName[] = [];
    const drawn = stepPictures(trace);
    if (drawn) found.push("drawing");
    const slots = slotsOf(trace) !== null;
    if (slots) found.push("memory");
    if (look.kind === "windows") {
      // A drawing has its windows on it, and only their figures in a view of their own.
      if (!drawn || this.store.settings.table) found.push("windows");
    } else if (cells.length) {
      if (look.memory.kind === "grid") found.push("picture");
      // What could stand at a step is told where rows are steps, or after all of them.
      const told = !panel.ofInput || answers(trace);
      if (trace.alternatives && told) found.push("alternatives");
      if (tellsStory(look)) found.push("story");
      else found.push("matrix");
      const arcs = look.memory.kind !== "grid" && !slots && !tellsStory(look);
      if (arcs && Math.max(cells.length, steps.length) <= MOST_ARC_CELLS) found.push("arcs");
      // Most slots of a memory are never visited: their sums say little.
      if (!slots) found.push("strips");
    }
    if (trace.alternatives && !found.includes("alternatives") && !panel.ofInput) found.push("alternatives");
    if (trace.search) found.push("beam");
    if (cells.length && (trace.evidence || this.canExplain(panel.entry))) found.push("evidence");
    return found;
  }

  private toolbar(): HTMLElement {
    const { settings } = this.store;
    const names = new Set(this.panels.flatMap((panel) => this.available(panel)));
    if (this.panels.length === 2) names.add("difference");
    const toggles = (Object.keys(VIEWS) as ViewName[])
      .filter((name) => names.has(name))
      .map((name) => {
        const on = settings.views.includes(name);
        const views = on ? settings.views.filter((other) => other !== name) : [...settings.views, name];
        return button(VIEWS[name], () => this.store.change({ views }), { "aria-pressed": on ? "true" : "false" });
      });
    const bar = make(
      "div",
      { class: "toolbar", role: "group", "aria-label": "What is shown" },
      make("span", { class: "toggles", role: "group", "aria-label": "Views" }, ...toggles),
    );
    const looks = [...new Set(this.panels.flatMap((panel) => heads(panel.entry.trace)))];
    if (looks.length > 1) {
      const options = looks.map((name): [string, string] => [name, name]);
      bar.append(choice("Look", options, this.panels[0].name, (look) => this.setLook(look)));
    }
    if (this.panels.some((panel) => hasWords(panel.tokens.look))) {
      const units = [
        ["token", "tokens"],
        ["word", "words"],
      ] as const;
      bar.append(choice("Unit", units, settings.unit, (unit) => this.setUnit(unit)));
    }
    if (this.panels.some(({ reading }) => reading.look.kind === "windows" || reading.cells.length)) {
      bar.append(button("Table", () => this.store.change({ table: !settings.table }), { "aria-pressed": settings.table ? "true" : "false" }));
    }
    return bar;
  }

  /** An address with pins leads to the last of them. */
  private openAtPin(): void {
    const pin = this.store.settings.pins.at(-1);
    const reading = this.panels[0]?.reading;
    if (pin && reading && pin.step < reading.steps.length && pin.cell < reading.cells.length) this.store.light(pin);
  }

  private setLook(look: string): void {
    this.store.focus = NOWHERE;
    this.store.change({ look, pins: [] });
  }

  private setUnit(unit: "token" | "word"): void {
    // Places are counted in the unit shown, so those in the other one mean nothing.
    this.store.focus = NOWHERE;
    this.store.change({ unit, pins: [] });
  }

  private traces(): HTMLElement {
    const { entries, settings } = this.store;
    const items = entries.map((entry, index) => {
      const on = settings.shown.includes(index);
      const name = entry.label ? `${entry.trace.output} (${entry.label})` : entry.trace.input || entry.trace.output;
      const made = button("", () => this.showEntry(index, false), {
        class: "trace-chip",
        "aria-pressed": on ? "true" : "false",
        title: `${entry.trace.input} → ${entry.trace.output}`,
      });
      made.append(make("span", { class: "number" }, String(index + 1)), make("span", { class: "chip-name", dir: "auto" }, name));
      const beside = button(on && settings.shown.length === 2 ? "−" : "+", () => this.showEntry(index, true), {
        class: "beside",
        "aria-label": `${on ? "Take away" : "Show beside"}: trace ${index + 1}`,
        title: on ? "take away" : "show beside",
      });
      const single = on && settings.shown.length === 1;
      return make("li", {}, made, ...(single ? [] : [beside]));
    });
    const list = make("ul", { class: "trace-list" }, ...items);
    const nav = make("nav", { class: "traces", "aria-label": "Traces" }, list);
    if (this.canUndo()) nav.append(button("Undo", () => this.undo(), { title: "take the last new trace away" }));
    return nav;
  }

  private canUndo(): boolean {
    return this.store.entries.length > Math.max(this.given, 1);
  }

  private undo(): void {
    this.draft = null;
    this.store.undo();
    this.spoken.textContent = `Taken away: ${this.store.entries.length} left.`;
  }

  private showEntry(index: number, beside: boolean): void {
    const { shown } = this.store.settings;
    this.draft = null;
    if (!beside) this.store.change({ shown: [index], pins: [] });
    else if (shown.includes(index)) this.store.change({ shown: shown.filter((other) => other !== index) });
    else this.store.change({ shown: [shown[0], index] });
  }

  private fill(main: HTMLElement, panel: Panel): void {
    const { entry, index, reading } = panel;
    const { settings } = this.store;
    const about = Object.entries(entry.trace.about).map(([key, value]) => `${key} ${value}`);
    const number = this.store.entries.length > 1 ? [make("span", { class: "number" }, String(index + 1))] : [];
    const label = [entry.label, ...about].filter(Boolean).join(" · ");
    const head = make("header", { class: "panel-head" }, ...number, make("p", { class: "quiet about", dir: "auto", title: label }, label), this.savings(panel));
    const bar = make("p", { class: "bar-said" });
    const actions = make("div", { class: "actions", role: "group", "aria-label": "Change this step" });
    const article = make("article", { class: "panel", "aria-label": `Trace ${index + 1}` }, head);
    main.append(article);
    const sentences = document.createElement("attend-sentences" as "div") as unknown as View;
    article.append(sentences);
    this.views.push(sentences.show(panel));
    article.append(bar, actions);
    this.bars.push({ panel, bar, actions });
    if (this.client && entry.ask && panel.ofInput) actions.append(make("span", { class: "quiet" }, unchangeable(panel)));
    else if (this.canAsk(entry)) this.actions(panel, actions);
    const { look } = reading;
    const noAttention = !Object.keys(entry.trace.looks).length;
    if (noAttention) article.append(make("p", { class: "quiet" }, "This system has no attention: there is nothing it looked at to show."));
    const picture = inputPicture(entry.trace);
    if (noAttention && picture) article.append(unlooked(picture, entry.trace.alternatives?.[0]));
    // That most slots of a memory are never visited is as it should be.
    const odd = look.kind === "weights" && !slotsOf(entry.trace) ? badges(look) : [];
    if (odd.length) article.append(make("p", { class: "badges" }, ...odd.map((badge) => make("span", { class: "badge", dir: "auto" }, badge))));
    const grid = make("div", { class: "views" });
    article.append(grid);
    const available = this.available(panel);
    const slots: View[] = [];
    const halves = available.filter((name) => HALVES.includes(name) && settings.views.includes(name) && !(settings.table && name !== "alternatives"));
    grid.classList.toggle("odd", halves.length % 2 === 1);
    const drawn = available.filter((name) => settings.views.includes(name));
    const add = (name: string, tag: string) => {
      const element = document.createElement(tag as "div") as unknown as View;
      element.classList.add("view-slot", `slot-${name}`);
      element.dataset.slot = `${index}-${name}`;
      grid.append(element);
      slots.push(element);
    };
    if (settings.table && look.kind === "weights" && reading.cells.length) add("table", "attend-table");
    for (const name of drawn) {
      if (name === "difference" || (settings.table && (name === "story" || name === "matrix" || name === "arcs" || name === "picture"))) continue;
      add(name, ELEMENTS[name]);
    }
    // Drawn when all have their places, so that each knows how wide it is.
    for (const element of slots) this.views.push(element.show(panel));
  }

  private savings(panel: Panel): HTMLElement {
    const { trace } = panel.entry;
    const { look } = panel.reading;
    const name = "trace";
    const items = [
      button("Trace, .json", () => saveFile(json(trace), `${name}.json`, "application/json")),
      button("Page, .html", () => void this.savePage([trace])),
    ];
    if (this.store.entries.length > 1) {
      items.push(button("All traces, .html", () => void this.savePage(this.store.entries.map((entry) => entry.trace))));
    }
    if (look.kind === "weights" && look.weights.length) {
      items.push(button("Weights, .csv", () => saveFile(csv(look), `${name}.csv`, "text/csv;charset=utf-8")));
      if (look.steps.kind === "tokens" && look.memory.kind === "tokens") {
        items.push(button("Links, .pharaoh", () => saveFile(pharaoh(look), `${name}.pharaoh`)));
        items.push(button("Nematus, .txt", () => saveFile(nematus(trace, look), `${name}.txt`)));
      }
    }
    const menu = make("details", { class: "menu" }, make("summary", {}, "Save"), make("div", { class: "menu-items" }, ...items));
    for (const item of items) item.addEventListener("click", () => (menu.open = false));
    return menu;
  }

  private actions(panel: Panel, holder: HTMLElement): void {
    const { reading, entry } = panel;
    if (reading.look.kind === "weights" && reading.cells.length > 1) {
      holder.append(make("span", { class: "quiet" }, "Make this step look"));
      for (const kind of Object.keys(FORCED) as Forced[]) holder.append(button(FORCED[kind], () => this.look(panel, kind)));
    }
    if (entry.trace.alternatives && this.canAsk(entry)) holder.append(button("write another word", () => this.offer(panel, aim(panel).step, true)));
  }

  // ----- light

  private light(spoken: boolean): void {
    for (const view of this.views) view.light();
    this.difference?.light();
    const { focus, settings } = this.store;
    const pins = settings.pins;
    const place = focus.step < 0 && focus.cell < 0 && pins.length ? pins[pins.length - 1] : focus;
    for (const { panel, bar } of this.bars) {
      const { text, quiet } = summary(panel, place, ranking);
      const log = stepLogProbs(panel.entry.trace, panel.reading)?.[place.step];
      const probability = log === undefined ? "" : `probability ${Math.exp(log).toFixed(3)}`;
      const more = [quiet, probability].filter(Boolean).join(" · ");
      const { trace } = panel.entry;
      const still = inputPicture(trace) && !Object.keys(trace.looks).length;
      const idle = still ? "" : "Point at a word or a cell, or press Tab and the arrow keys. Click to pin.";
      bar.replaceChildren(make("span", { class: text ? "" : "quiet" }, isolated(text || idle)), make("span", { class: "quiet figure" }, more));
    }
    if (!spoken || !this.panels.length) return;
    const panel = this.panels.find(({ index }) => index === this.store.speaker) ?? this.panels[0];
    const both = this.store.speaker === BOTH ? this.difference : null;
    const { text, quiet } = both ? both.summary(place) : summary(panel, place, ranking);
    const log = both ? undefined : stepLogProbs(panel.entry.trace, panel.reading)?.[place.step];
    const pinned = pins.some((pin) => pin.step === place.step && pin.cell === place.cell) ? "Pinned" : "";
    const probability = log === undefined ? "" : `Probability ${Math.exp(log).toFixed(2)}`;
    this.spoken.textContent = [pinned, quiet, text, probability].filter(Boolean).map((part) => `${part}.`).join(" ");
  }

  // ----- asking the model

  canAsk(entry: Entry): boolean {
    if (this.client === null || entry.ask === null || entry.trace.ids === undefined) return false;
    return this.modelOf(entry)?.steerable ?? false;
  }

  canExplain(entry: Entry): boolean {
    if (this.canAsk(entry)) return !Object.keys(entry.ask?.weights ?? {}).length;
    // Of an answer that is given in one go, where a look has a row for it.
    const { trace, ask } = entry;
    const looked = (look: Look) => look.kind === "weights" && look.weights.length === 1 && (look.memory.kind === "tokens" || look.memory.kind === "grid");
    return this.client !== null && ask !== null && this.modelOf(entry)?.steerable === false && answers(trace) && Object.values(trace.looks).some((look) => looked(look) && !ofInput(trace, look));
  }

  private modelOf(entry: Entry): ModelInfo | undefined {
    return this.models.find(({ name }) => name === entry.ask?.model);
  }

  key(key: string, panel: Panel): boolean {
    const can = this.canAsk(panel.entry);
    const forced: Record<string, Forced> = { o: "one", u: "uniform", w: "window" };
    if ((key in forced || key === "y") && this.client && panel.ofInput) this.say(unchangeable(panel));
    else if (key in forced && can) this.look(panel, forced[key]);
    else if (key === "a") this.offer(panel, aim(panel).step, true);
    else if (key === "y" && this.canExplain(panel.entry)) this.why(panel);
    else if (key === "t") this.store.change({ table: !this.store.settings.table });
    else if (key === "z" && this.canUndo()) this.undo();
    else if (key === "?") this.keys();
    else return false;
    return true;
  }

  offer(panel: Panel, step: number, go: boolean): void {
    if (!this.available(panel).includes("alternatives")) return;
    if (panel.ofInput) step = -1;
    if (step >= 0) this.store.focus = { step, cell: -1 };
    const { views, pins } = this.store.settings;
    const pinned = step >= 0 && !pins.some((pin) => pin.step === step) ? [...pins, { step, cell: -1 }] : pins;
    if (!views.includes("alternatives")) this.store.change({ views: [...views, "alternatives"], pins: pinned });
    if (!go) return;
    const slot = this.querySelector<HTMLElement>(`[data-slot="${panel.index}-alternatives"]`);
    slot?.scrollIntoView({ block: "nearest", behavior: calm() ? "instant" : "smooth" });
    slot?.querySelector("button")?.focus({ preventScroll: true });
  }

  writeInstead(panel: Panel, tokenStep: number, other: number | string): void {
    const { ask, trace } = panel.entry;
    if (!ask || !trace.ids) return;
    const next = upTo(ask, trace.ids, tokenStep + 1);
    next.prefix = [...trace.ids.slice(0, tokenStep), other];
    void this.askFor(next, `step ${tokenStep + 1} given`, panel.index);
  }

  goOn(panel: Panel, ids: number[]): void {
    const { ask } = panel.entry;
    if (ask) void this.askFor({ ...upTo(ask, ids, ids.length), prefix: ids }, `${ids.length} steps given`, panel.index);
  }

  look(panel: Panel, kind: Forced): void {
    const { ask, trace } = panel.entry;
    const place = aim(panel);
    if (!ask || !trace.ids || panel.reading.look.kind !== "weights") return;
    if (place.step < 0 || (place.cell < 0 && kind !== "uniform")) {
      this.say("Point at a cell of the matrix and pin it first: a step, and what it is to look at.");
      return;
    }
    const tokens = panel.reading.stepTokens[place.step];
    const row = forcedRow(panel, kind, place.cell);
    const next = upTo(ask, trace.ids, tokens[0]);
    next.weights = { ...next.weights, ...Object.fromEntries(tokens.map((token) => [token, row])) };
    void this.askFor(next, `step ${place.step + 1} ${FORCED[kind]}`, panel.index);
  }

  why(panel: Panel): void {
    const { ask, trace } = panel.entry;
    if (!ask || !trace.ids) return;
    void this.evidence(ask, trace).then((found) => {
      if (!found) return;
      const known = { ...panel.entry, trace: { ...trace, ...found }, ask: { ...ask, why: true } };
      this.store.entries = this.store.entries.map((entry, index) => (index === panel.index ? known : entry));
      const { views } = this.store.settings;
      this.store.change({ views: views.includes("evidence") ? views : [...views, "evidence"] });
    });
  }

  /** Attributions and interventions of a trace, as a part of it. */
  private async evidence(ask: Ask, trace: Trace): Promise<Pick<Trace, "evidence"> | undefined> {
    const steerable = this.models.find(({ name }) => name === ask.model)?.steerable;
    const found = await this.fetched(steerable === false ? ask : { ...ask, prefix: trace.ids }, true);
    return found?.evidence && { evidence: found.evidence };
  }

  /** Ask several models for the same, one after the other: each stands beside the first. */
  private async askEach(models: ModelInfo[], ask: Ask): Promise<void> {
    const first = this.store.entries.length;
    for (const model of models) {
      const asked = this.store.entries.length;
      await this.askFor({ ...ask, model: model.name, ...searching(model, ask.beam) }, model.name, asked > first ? first : null);
      if (this.store.entries.length === asked) return; // refused, or something else was asked for
    }
  }

  private async askFor(ask: Ask, label: string, beside: number | null): Promise<void> {
    const trace = await this.fetched(ask, false);
    if (!trace) return;
    this.store.add({ trace, label, ask: { ...ask, why: undefined } }, beside);
    const made = this.querySelector(`article[aria-label="Trace ${this.store.entries.length}"]`);
    if (made && made.getBoundingClientRect().top > window.innerHeight) made.scrollIntoView({ behavior: calm() ? "instant" : "smooth" });
    const sure = answers(trace) && trace.scores ? `, probability ${Math.exp(trace.scores[0]).toFixed(2)}` : "";
    this.spoken.textContent = `Trace ${this.store.entries.length}: “${trace.output}”${sure}.`;
  }

  /** The trace, or null after an error message. A newer request cancels an older one. */
  private async fetched(ask: Ask, evidence: boolean): Promise<Trace | null> {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.say("Reading…");
    const model = this.models.find(({ name }) => name === ask.model);
    ask = { ...ask, beam: searching(model, ask.beam).beam };
    const written: string[] = [];
    try {
      const greedy = ask.beam === 1 && !evidence;
      const trace = greedy
        ? await this.client!.stream(ask, (told) => this.say(`Writing: ${written[written.push(told.text) - 1] && written.join("")}`), asking.signal)
        : await this.client!.trace(ask, evidence, asking.signal);
      this.say("");
      return trace;
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof DOMException)) throw error;
      if (!asking.signal.aborted) this.say(sentence(error));
      return null;
    }
  }

  private say(text: string): void {
    this.said.textContent = text;
    this.said.classList.toggle("empty", !text);
  }

  private draft: { input: Input; model: string; beam: string } | null = null;

  private composer(): HTMLElement {
    const entry = this.store.entries[this.store.settings.shown[0]];
    const model = this.models.find(({ name }) => name === (this.draft?.model ?? entry?.ask?.model)) ?? this.models[0];
    const inputs = model?.inputs ?? { text: "text" };
    const written = fitting(inputs, this.draft?.input ?? entry?.ask?.input ?? "");
    // The models that read the same, which can be asked at once.
    const alike = this.models.filter((one) => JSON.stringify(one.inputs) === JSON.stringify(inputs));
    const all = this.draft?.model === ALL && alike.length > 1;
    const select = make("select", { "aria-label": "Model" }, ...this.models.map(({ name }) => make("option", { value: name, selected: !all && name === model?.name }, name)));
    if (alike.length > 1) select.append(make("option", { value: ALL, selected: all }, alike.length === this.models.length ? "all of them" : "all that read the same"));
    const beams = [...new Set([1, 4, 8, model?.beam ?? 1])].sort((a, b) => a - b);
    const chosen = this.draft?.beam ?? String(entry?.ask?.beam ?? widthOf(model));
    const beam = make(
      "select",
      { "aria-label": "Beam" },
      ...beams.map((width) => make("option", { value: width, selected: String(width) === chosen }, width === 1 ? "greedy" : `beam ${width}`)),
    );
    const submit = make("button", { type: "submit", class: "primary", disabled: !model }, "Read");
    const form = make("form", { class: "composer", "aria-label": "Ask the model" });
    const alone = Object.keys(inputs).length === 1;
    const boxes = Object.entries(inputs).map(([name, kind]) => {
      return box(name, kind, written[name] ?? "", alone, (uri) => {
        this.draft = { input: askedWith(inputs, { ...values(), [name]: uri }), model: select.value, beam: beam.value };
        this.render();
      });
    });
    const values = () => Object.fromEntries(boxes.map((one) => [one.name, one.value()]));
    for (const { element } of boxes) form.append(...element);
    const keep = () => (this.draft = { input: askedWith(inputs, values()), model: select.value, beam: beam.value });
    form.addEventListener("input", (event) => {
      if ((event.target as HTMLInputElement).type !== "file") keep();
    });
    select.addEventListener("change", () => {
      const chosen = this.models.find(({ name }) => name === select.value);
      // Several boxes of which none has anything yet are filled with an example.
      const empty = chosen && Object.keys(chosen.inputs).length > 1 && !Object.keys(fitting(chosen.inputs, keep().input)).length;
      if (empty && chosen.examples.length) this.draft = { ...keep(), input: chosen.examples[0] };
      this.render();
    });
    if (this.models.length > 1) form.append(select);
    // Models that can't be forced have no beam search.
    if (model?.steerable ?? true) form.append(beam);
    form.append(submit);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const empty = boxes.find((one) => !one.value().trim());
      if (empty) {
        this.say(empty.missing);
        if (!alone) empty.focus();
        return;
      }
      const ask = { model: model!.name, input: askedWith(inputs, values()), ...searching(model, Number(beam.value)) };
      const shown = this.store.settings.shown[0];
      keep();
      if (select.value === ALL) {
        void this.askEach(alike, ask);
        return;
      }
      const label = entry?.ask && entry.ask.model !== ask.model ? ask.model : entry?.ask ? "edited" : "";
      void this.askFor(ask, label, this.store.entries.length ? shown : null);
    });
    return form;
  }

  // ----- the rest

  private async open(files: File[]): Promise<void> {
    for (const file of files) {
      let found: unknown;
      try {
        found = JSON.parse(await file.text());
      } catch {
        found = null;
      }
      const trace = understoodTrace(found);
      if (trace && this.shows({ trace, label: file.name, ask: null })) continue;
      this.say(`${file.name} is not a trace, or not a whole one: it must be JSON of the form attend.trace.v2 or v1.`);
    }
  }

  /** Show an entry that came from a file; it is removed again if it can't be drawn. */
  private shows(entry: Entry): boolean {
    const { settings } = this.store;
    try {
      this.store.add(entry, null);
      return true;
    } catch {
      this.store.entries = this.store.entries.slice(0, -1);
      this.store.change(settings);
      return false;
    }
  }

  private async savePage(traces: Trace[]): Promise<void> {
    try {
      const empty = this.client ? await this.client.emptyPage() : PRISTINE;
      saveFile(onePage(empty, traces, traces[0]?.output || "Traces"), "attention.html", "text/html;charset=utf-8");
    } catch (error) {
      this.say(sentence(error));
    }
  }

  private async copyLink(): Promise<void> {
    this.store.toAddress(false);
    const { entries } = this.store;
    const back = this.given + linked(entries).length;
    const lost = back < entries.length ? `, but trace ${back + 1}${entries.length > back + 1 ? " and those after it" : ""}` : "";
    const why = entries[back]?.ask ? ": what was read is too long for an address" : ": it came from a file";
    try {
      await navigator.clipboard.writeText(location.href);
      this.say(`The link is copied: it brings back what is shown now${lost && lost + why}.`);
    } catch {
      this.say(`The link is in the address bar, as this browser does not let the page copy it${lost && `; it brings back all${lost}${why}`}.`);
    }
  }

  private keys(): void {
    const rows = KEYS.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)]);
    const close = button("Close", () => dialog.close());
    const dialog = make("dialog", { "aria-label": "Keys" }, make("h2", {}, "Keys"), make("dl", {}, ...rows), close);
    dialog.addEventListener("close", () => dialog.remove());
    this.append(dialog);
    dialog.showModal();
  }
}

/** The look of a model without attention: its steps, over no cells. */
function nowhere(trace: Trace): Look {
  const count = trace.alternatives?.length ?? trace.ids?.length ?? stepPictures(trace)?.uris.length ?? 0;
  const names = Array.from({ length: count }, (_, step) => {
    return trace.alternatives?.[step]?.find((other) => other.id === trace.ids?.[step])?.text ?? `step ${step + 1}`;
  });
  const steps = names.length ? names : [trace.output];
  return { kind: "weights", weights: steps.map(() => []), steps: { kind: "named", names: steps }, memory: { kind: "named", names: [] }, hard: false };
}

/** A look; with its row called by the answer where it has one row for that. */
function lookOf(trace: Trace, name: string): Look {
  const look = trace.looks[name];
  if (!look) return nowhere(trace);
  const single = look.kind === "weights" && look.steps.kind === "named" && look.steps.names.length === 1;
  return single && answers(trace) ? { ...look, steps: { kind: "named", names: [trace.output] } } : look;
}

/** Why nothing can be changed at the rows of a look that are no steps of the output. */
function unchangeable({ sides }: Panel): string {
  return `The rows are ${sides.steps ? `the tokens of “${sides.steps}”` : "cells of the input"}, not steps of the output: they can’t be written otherwise, set by hand or explained.`;
}

/** The beam to ask for, of a model that searches for its output. */
function searching(model: ModelInfo | undefined, beam: number | undefined): { beam?: number } {
  return (model?.steerable ?? true) && beam !== undefined ? { beam } : {};
}

/** The default beam width: wide enough for a tree. */
function widthOf(model: ModelInfo | undefined): number {
  return Math.max(model?.beam ?? 1, 4);
}

function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function calm(): boolean {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Restores the focus after drawing again: to the element of the same kind and name. */
function kept(active: Element | null): (() => void) | null {
  if (!(active instanceof HTMLElement || active instanceof SVGElement) || active === document.body) return null;
  const name = (element: Element) => `${element.tagName} ${element.getAttribute("aria-label") ?? element.textContent}`;
  const slot = active.closest("[data-slot]")?.getAttribute("data-slot") ?? "";
  const wanted = name(active);
  return () => {
    const scope = slot ? document.querySelector(`[data-slot="${slot}"]`) : document;
    const found = [...(scope?.querySelectorAll<HTMLElement>("a, button, input, select, summary, [tabindex]") ?? [])];
    found.find((element) => name(element) === wanted)?.focus({ preventScroll: true });
  };
}

// In the place of a model's name: all of them.
const ALL = "*";

// The one-file page before anything is drawn, from which others are made.
const PRISTINE = document.documentElement.outerHTML;

customElements.define("attend-explorer", Explorer);

