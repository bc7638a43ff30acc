// A slider through the steps, which also moves by itself.

import { button, make } from "./elements";
import type { Panel } from "./panel";

const MILLISECONDS = 700;

export interface Player {
  element: HTMLElement;
  /** Set the slider to where the focus is. */
  follow: (step: number) => void;
}

export function player(panel: Panel): Player {
  const { store, reading } = panel;
  const last = Math.max(reading.steps.length - 1, 0);
  const slider = make("input", { type: "range", min: 0, max: last, value: 0, "aria-label": "Step" });
  const follow = (step: number) => {
    slider.value = String(step);
    slider.setAttribute("aria-valuetext", reading.steps[step] ?? "");
  };
  const show = (step: number) => {
    follow(step);
    store.light({ step, cell: -1 }, true);
  };
  slider.addEventListener("input", () => show(Number(slider.value)));
  let timer = 0;
  const play = button("Play", () => {
    const playing = timer !== 0;
    window.clearInterval(timer);
    timer = 0;
    play.textContent = playing ? "Play" : "Pause";
    if (playing) return;
    if (Number(slider.value) >= last) show(0);
    timer = window.setInterval(() => {
      if (!slider.isConnected || Number(slider.value) >= last) {
        window.clearInterval(timer);
        timer = 0;
        play.textContent = "Play";
        return;
      }
      show(Number(slider.value) + 1);
    }, MILLISECONDS);
  });
  return { element: make("div", { class: "player" }, play, slider), follow };
}
