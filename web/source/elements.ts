// Elements out of plain values. Text only ever enters the page as text, never as markup.

export type Attributes = Record<string, string | number | boolean | undefined>;
export type Child = Node | string;

export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  return fill(document.createElement(name), attributes, children);
}

export function draw<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[Name] {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill<Made extends Element>(element: Made, attributes: Attributes, children: Child[]): Made {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

// Narrower pictures than this are shown in their pixels: what a model saw of them is no smoother.
const FEW_PIXELS = 200;

/** A picture in a drawing, in its own pixels where these are few. */
export function pictured(href: string, attributes: Attributes): SVGImageElement {
  const made = draw("image", { href, preserveAspectRatio: "none", ...attributes });
  const probe = new Image();
  probe.addEventListener("load", () => {
    if (probe.naturalWidth < FEW_PIXELS) made.style.imageRendering = "pixelated";
  });
  probe.src = href;
  return made;
}

/** The path of a curve that is level at both of its ends. */
export function curve([left, top]: [number, number], [right, bottom]: [number, number]): string {
  const middle = (left + right) / 2;
  return `M${left},${top}C${middle},${top},${middle},${bottom},${right},${bottom}`;
}

/** What may be wider, or higher, than there is room for: the keyboard can scroll it too. */
export function scrolling(name: string, tall: boolean, ...children: Child[]): HTMLElement {
  const attributes = { class: tall ? "scroll tall" : "scroll", tabindex: 0, role: "region", "aria-label": name };
  return make("div", attributes, ...children);
}

/** A piece of someone's text, which must not turn the direction of what stands beside it. */
export function isolated(text: string): HTMLElement {
  return make("bdi", {}, text);
}

export function button(text: string, act: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = make("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

/** Buttons of which one is chosen. */
export function choice<Value extends string>(
  name: string,
  options: readonly (readonly [Value, string])[],
  chosen: Value,
  choose: (value: Value) => void,
): HTMLElement {
  const buttons = options.map(([value, text]) =>
    button(text, () => choose(value), { "aria-pressed": value === chosen ? "true" : "false", "data-value": value }),
  );
  return make("span", { class: "choice", role: "group", "aria-label": name }, ...buttons);
}

const measure = document.createElement("canvas").getContext("2d");
export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

export function textWidth(text: string, pixels: number): number {
  if (!measure) return text.length * pixels * 0.6;
  measure.font = `${pixels}px ${FONT}`;
  return measure.measureText(text).width;
}

/** The text, with an ellipsis where it is wider than so many pixels. Cuts between characters as readers see them. */
export function shorten(text: string, pixels: number, widest: number): string {
  if (textWidth(text, pixels) <= widest) return text;
  // Forty times as many characters as would fit if they were as wide as high: enough of the thinnest, with their marks.
  const start = text.slice(0, Math.ceil(widest / pixels) * 40);
  const characters = [...new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(start)].map((s) => s.segment);
  const cut = (count: number) => `${characters.slice(0, count).join("")}…`;
  let [fits, most] = [1, characters.length];
  while (fits < most) {
    const middle = Math.ceil((fits + most) / 2);
    if (textWidth(cut(middle), pixels) <= widest) fits = middle;
    else most = middle - 1;
  }
  return cut(fits);
}
