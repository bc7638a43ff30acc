// What a model is asked with: a box for each of its inputs.

import { button, draw, make, pictured, type Attributes } from "./elements";
import type { Input } from "./store";

/** Kinds of inputs that are sent as text; all others are files, sent as data URIs. */
const TEXTS = ["text", "vectors"];

export interface Box {
  name: string;
  element: HTMLElement[];
  value: () => string;
  /** What is to be said where there is nothing in it. */
  missing: string;
  focus: () => void;
}

/** The box of an input. `alone`: it is the model's only one, and needs no name. `chosen` is told of another file. */
export function box(name: string, kind: string, given: string, alone: boolean, chosen: (uri: string) => void): Box {
  if (TEXTS.includes(kind)) return textBox(name, given, alone);
  const picture = kind === "image";
  const file = make("input", { type: "file", accept: picture ? "image/png,image/jpeg,image/webp,image/gif" : undefined, "aria-label": alone ? "Picture" : name, hidden: true });
  file.addEventListener("change", () => void asDataUri(file.files?.[0]).then(chosen));
  const what = picture ? "picture" : "file";
  const text = given ? `Another ${what}…` : `Choose a ${what}…`;
  const choose = button(text, () => file.click(), alone ? {} : { "aria-label": `${name}: ${text}` });
  const shown = make("span", { class: "chosen" });
  if (given) shown.append(picture ? thumbnail(given, alone ? "" : `, ${name}`) : "chosen");
  const parts = [...(given ? [shown] : []), choose, file];
  return {
    name,
    element: alone ? parts : [make("div", { class: "composer-field", role: "group", "aria-label": name }, make("span", { class: "composer-name" }, name), ...parts)],
    value: () => given,
    missing: alone ? "Choose a picture to read first." : `Choose a ${what} for “${name}” first.`,
    focus: () => choose.focus(),
  };
}

function textBox(name: string, given: string, alone: boolean): Box {
  const told: Attributes = alone ? { "aria-label": "Text to read", placeholder: "Text for the model to read" } : { "aria-label": name };
  const input = make("input", { type: "text", ...told, value: given, dir: "auto", autocomplete: "off" });
  return {
    name,
    element: [alone ? input : make("label", { class: "composer-field" }, make("span", { class: "composer-name" }, name), input)],
    value: () => input.value,
    missing: alone ? "Write something to read first." : `Write something in “${name}” first.`,
    focus: () => input.focus(),
  };
}

/** What of an input there is for each of a model's inputs: what has its name, or else goes into one of its kind. */
export function fitting(inputs: Record<string, string>, given: Input): Record<string, string> {
  const names = Object.keys(inputs);
  const fits = (name: string, value: string) => TEXTS.includes(inputs[name]) !== value.startsWith("data:");
  const found: Record<string, string> = {};
  if (typeof given !== "string") for (const name of names) if (given[name] && fits(name, given[name])) found[name] = given[name];
  if (Object.keys(found).length) return found;
  for (const value of typeof given === "string" ? [given] : Object.values(given)) {
    const name = names.find((name) => value && fits(name, value));
    if (name !== undefined) return { [name]: value };
  }
  return found;
}

/** What a model of these inputs is asked with. */
export function asked(inputs: Record<string, string>, values: Record<string, string>): Input {
  const names = Object.keys(inputs);
  return names.length === 1 ? values[names[0]] : Object.fromEntries(names.map((name) => [name, values[name]]));
}

function thumbnail(picture: string, of: string): SVGSVGElement {
  const size = { width: 32, height: 32 };
  return draw("svg", { ...size, role: "img", "aria-label": `The picture that was chosen${of}` }, pictured(picture, { ...size, preserveAspectRatio: "xMidYMid meet" }));
}

async function asDataUri(file: File | undefined): Promise<string> {
  if (!file) return "";
  const bytes = new Uint8Array(await file.arrayBuffer());
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return `data:${file.type || "application/octet-stream"};base64,${btoa(binary)}`;
}
