// Files of what is on the page.

import { labels, links, sum, type Trace, type Weights } from "./trace";

const PNG_SCALE = 2;
const GREATEST_SIDE = 12000;

export function saveFile(content: Blob | string, name: string, type = "text/plain;charset=utf-8"): void {
  const blob = typeof content === "string" ? new Blob([content], { type }) : content;
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export async function saveView(picture: SVGSVGElement, name: string, form: "svg" | "png"): Promise<void> {
  const text = new XMLSerializer().serializeToString(picture);
  if (form === "svg") {
    saveFile(`<?xml version="1.0" encoding="UTF-8"?>\n${text}\n`, `${name}.svg`, "image/svg+xml");
    return;
  }
  const [width, height] = [picture.width.baseVal.value, picture.height.baseVal.value];
  const scale = Math.min(PNG_SCALE, GREATEST_SIDE / Math.max(width, height, 1));
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(width * scale);
  canvas.height = Math.ceil(height * scale);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => blob && saveFile(blob, `${name}.png`));
}

export function csv(look: Weights): string {
  const quoted = (text: string) => (/[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const head = ["", ...labels(look.memory)].map(quoted).join(",");
  const names = labels(look.steps);
  const rows = look.weights.map((row, step) => [quoted(names[step]), ...row].join(","));
  return [head, ...rows, ""].join("\r\n");
}

export function pharaoh(look: Weights): string {
  return `${links(look)
    .map(([source, target]) => `${source}-${target}`)
    .join(" ")}\n`;
}

/** The text form of Nematus, as `attend.show.formats.write_nematus` writes it. */
export function nematus(trace: Trace, look: Weights): string {
  const signs: Record<string, string> = { "&": "&amp;", "|": "&#124;" };
  const word = (text: string) => (text || " ").replace(/[&|\s]/gu, (sign) => signs[sign] ?? `&#${sign.codePointAt(0)};`);
  // The end of a sentence is counted, and not written as a word.
  const words = (axis: Weights["steps"]) => (axis.kind === "tokens" ? axis.tokens.filter((token) => token.start !== null).map((token) => word(token.text)) : []);
  const score = sum(trace.scores ?? []);
  const head = [0, words(look.steps).join(" "), Number(score.toPrecision(6)), words(look.memory).join(" "), `${look.weights[0].length} ${look.weights.length}`];
  return `${[head.join(" ||| "), ...look.weights.map((row) => row.map((weight) => Number(weight.toPrecision(6))).join(" "))].join("\n")}\n\n`;
}

export function json(trace: Trace): string {
  return `${JSON.stringify(trace, null, 2)}\n`;
}

/** A one-file page of these traces, made of the text of one with others, or without any. */
export function onePage(empty: string, traces: Trace[], title: string): string {
  const rows = traces.map((trace) => `<p>${escaped(`${trace.input} → ${trace.output}`)}</p>`);
  // Inside a script element only "<" could end the JSON.
  const held = JSON.stringify(traces).replace(/</g, "\\u003c");
  // Each of these stands in the page once before its script, which is at its end.
  const parts: [RegExp, string][] = [
    [/<title>[^<]*<\/title>/, `<title>${escaped(title)}</title>`],
    [/<div data-title(="")?>[^<]*<\/div>/, `<div data-title>${escaped(title)}</div>`],
    [/<noscript>[^]*?<\/noscript>/, `<noscript><p>This page is drawn by its script, which is switched off.</p>${rows.join("")}</noscript>`],
    [/id="traces">[^<]*<\/script>/, `id="traces">${held}<\/script>`],
  ];
  let page = empty;
  for (const [place, content] of parts) {
    if (!place.test(page)) throw new Error("this page has no place for traces");
    page = page.replace(place, () => content);
  }
  return /^\s*<!doctype/i.test(page) ? page : `<!doctype html>\n${page}\n`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]!);
}
