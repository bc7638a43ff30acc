// Colours. SVGs carry them as attributes, so that they look the same when exported.

import { interpolateLab } from "d3-interpolate";

export interface Palette {
  paper: string;
  empty: string;
  full: string;
  ink: string;
  quiet: string;
  line: string;
  mark: string;
  less: string;
  more: string;
}

export const LIGHT: Palette = {
  paper: "#ffffff",
  empty: "#f3f1ec",
  full: "#0f3d6b",
  ink: "#1f2328",
  quiet: "#5b626c",
  line: "#e2dfd8",
  mark: "#b3400e",
  less: "#8a4b08",
  more: "#0f5a8a",
};
export const DARK: Palette = {
  paper: "#1b1e23",
  empty: "#272b31",
  full: "#b5d9ff",
  ink: "#e8e6e1",
  quiet: "#a3a9b3",
  line: "#343941",
  mark: "#f2a073",
  less: "#f0b36a",
  more: "#8ec8f5",
};

const dark = window.matchMedia("(prefers-color-scheme: dark)");

export function palette(): Palette {
  return dark.matches ? DARK : LIGHT;
}

export function onSchemeChange(act: () => void): void {
  dark.addEventListener("change", act);
}

/** From no weight to all of it: even steps of lightness, one hue. */
export function heat(colours: Palette): (share: number) => string {
  return ramp(colours.empty, colours.full);
}

/** From a bit that is not set to one that is. */
export function bits(colours: Palette): (share: number) => string {
  return ramp(colours.empty, colours.ink);
}

function ramp(from: string, to: string): (share: number) => string {
  const scale = interpolateLab(from, to);
  const steps = Array.from({ length: 257 }, (_, step) => scale(step / 256));
  return (share) => steps[Math.round(Math.min(Math.max(share, 0), 1) * 256)];
}

/** From -1 over 0 to 1. */
export function difference(colours: Palette): (share: number) => string {
  const [less, more] = [interpolateLab(colours.empty, colours.less), interpolateLab(colours.empty, colours.more)];
  return (share) => (share < 0 ? less : more)(Math.min(Math.abs(share), 1));
}
