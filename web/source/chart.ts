// Views made of HTML elements, drawn as an SVG of bars to save.

import { LIGHT } from "./colour";
import { draw, FONT, shorten, textWidth } from "./elements";

const TEXT = 13;
const LINE = 22;
const MARGIN = 16;
const WIDEST_NAME = 220;
const RAIL = 120;
const FIGURE = 58;
const GAP = 24;

export interface Column {
  name: string;
  values: number[];
  /** What a whole bar, or half of one with two sides, is. */
  greatest: number;
  /** With two sides: to the right what is above zero, to the left what is below. */
  signed: boolean;
  figure: (value: number) => string;
}

export interface Chart {
  head: string[];
  /** Pictures between the head and the bars, beside one another, each with its name. */
  maps?: [string, SVGSVGElement][];
  names: string[];
  columns: Column[];
  foot?: string[];
}

export function written(x: number, y: number, text: string, more: Record<string, string | number> = {}): SVGTextElement {
  return draw("text", { x, y, "font-size": TEXT, fill: LIGHT.ink, ...more }, text);
}

export function sheet(name: string, width: number, height: number, parts: SVGElement[]): SVGSVGElement {
  const frame = { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, role: "img", "aria-label": name };
  return draw("svg", frame, draw("rect", { width, height, fill: LIGHT.paper }), ...parts);
}

/** A row for each name, with a bar and a number in every column. */
export function chart(name: string, { head, maps = [], names, columns, foot = [] }: Chart): SVGSVGElement {
  const parts: SVGElement[] = [];
  let y = MARGIN;
  const line = (text: string) => parts.push(written(MARGIN, (y += LINE) - 7, text, { fill: LIGHT.quiet }));
  head.forEach(line);
  y += head.length ? 8 : 0;
  let [right, lowest] = [MARGIN, y];
  for (const [title, map] of maps) {
    map.setAttribute("x", String(right));
    map.setAttribute("y", String(y));
    const below = y + map.height.baseVal.value;
    parts.push(map, written(right, below + 16, title, { fill: LIGHT.quiet }));
    right += map.width.baseVal.value + GAP;
    lowest = Math.max(lowest, below + LINE + 8);
  }
  y = lowest;
  const first = MARGIN + Math.min(Math.max(20, ...names.map((text) => textWidth(text, TEXT))), WIDEST_NAME) + 14;
  const at = (column: number) => first + column * (RAIL + FIGURE + GAP);
  const bold = { "font-weight": 600 };
  columns.forEach((column, index) => parts.push(written(at(index), y + 15, shorten(column.name, TEXT, RAIL + FIGURE), bold)));
  y += LINE;
  names.forEach((text, row) => {
    parts.push(written(MARGIN, y + 15, shorten(text, TEXT, WIDEST_NAME)));
    columns.forEach(({ values, greatest, signed, figure }, index) => {
      const [value, left] = [values[row], at(index)];
      const [zero, most] = signed ? [left + RAIL / 2, RAIL / 2] : [left, RAIL];
      const long = Math.min(Math.abs(value) / greatest, 1) * most;
      const bar = { x: value < 0 ? zero - long : zero, y: y + 6, width: long, height: 10, fill: value < 0 ? LIGHT.less : LIGHT.full };
      parts.push(draw("rect", { x: left, y: y + 6, width: RAIL, height: 10, fill: LIGHT.empty }), draw("rect", bar));
      if (signed) parts.push(draw("rect", { x: zero - 0.5, y: y + 4, width: 1, height: 14, fill: LIGHT.quiet }));
      parts.push(written(left + RAIL + 8, y + 15, figure(value)));
    });
    y += LINE;
  });
  y += foot.length ? 8 : 0;
  foot.forEach(line);
  const widest = Math.max(0, ...[...head, ...foot].map((text) => textWidth(text, TEXT))) + MARGIN;
  return sheet(name, Math.ceil(Math.max(at(columns.length) - GAP, right - GAP, widest) + MARGIN), y + MARGIN, parts);
}
