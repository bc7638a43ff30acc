// A picture that was made step by step: what there was of it after each step, under that step's windows, beside the
// picture that was given.

import { draw, isolated, make, pictured, FONT, type Attributes } from "./elements";
import { LIGHT, palette, type Palette } from "./colour";
import { framed, saving, steered, View } from "./view";
import { player, type Player } from "./player";
import { proportions, size, type Canvas, type Windows } from "./trace";
import { measures, seen } from "./windows";

const SIDE = 420;
const GIVEN = 264;
// Windows may reach over the image's edge. So far is shown, in half images, and those that go on end there.
const FURTHEST = 1.5;
const INSET = 0.03;
const WROTE = { stroke: "#b3400e" };
const READ = { stroke: "#0f3d6b", "stroke-dasharray": "6 4" };

export class Drawing extends View {
  private stage = make("div", { class: "stage" });
  private given = make("div", { class: "given" });
  private legend = make("div", { class: "legend" });
  private shown = -1;
  private player: Player | null = null;

  protected draw(): void {
    this.shown = -1;
    this.stage = make("div", { class: "stage" });
    this.given = make("div", { class: "given" });
    this.legend = make("div", { class: "legend" });
    this.player = player(this.panel);
    const body = make("div", { class: "picture-body" }, make("div", {}, this.stage, this.player.element, this.legend), this.given);
    const save = saving("drawing", () => this.saved());
    this.append(framed("Drawing", [save], body));
    steered(this.stage, this.panel, "The drawing after each step", { step: "horizontal", cell: "none" });
  }

  private get canvas(): Canvas {
    return this.panel.entry.trace.canvas!;
  }

  /** The looks that have a window for each step. */
  private get windows(): [string, Windows][] {
    const looks = Object.entries(this.panel.entry.trace.looks);
    return looks.filter((named): named is [string, Windows] => named[1].kind === "windows" && size(named[1].steps) === this.canvas.after.length);
  }

  private stroke(name: string): Attributes {
    return name === this.canvas.look ? WROTE : READ;
  }

  /** A picture, and windows of a step over it: all of them, or those alone that read. */
  private scene(picture: string, step: number, side: number, colours: Palette, label: string, reading: boolean): SVGSVGElement {
    const edges = this.windows.flatMap(([, look]) => look.centre.flatMap((centre, at) => centre.map((place, axis) => Math.abs(place) + look.extent[at][axis] / 2)));
    const reach = edges.reduce((most, edge) => Math.min(Math.max(most, edge), FURTHEST), 1);
    const [wide, high] = proportions(picture);
    const [width, height] = [side * Math.min(wide / high, 1), side * Math.min(high / wide, 1)];
    const box = (left: number, top: number, right: number, bottom: number) => ({
      x: ((left + reach) / (2 * reach)) * width,
      y: ((top + reach) / (2 * reach)) * height,
      width: ((right - left) / (2 * reach)) * width,
      height: ((bottom - top) / (2 * reach)) * height,
    });
    const edge = box(-1, -1, 1, 1);
    const parts: SVGElement[] = [draw("rect", { width, height, fill: colours.paper }), pictured(picture, edge), draw("rect", { ...edge, fill: "none", stroke: colours.quiet })];
    this.windows.forEach(([name, look], inside) => {
      if (reading && name === this.canvas.look) return;
      // Two windows that end at the same edge are both to be seen.
      const most = reach - INSET * (inside + 1);
      const within = (place: number) => Math.min(Math.max(place, -most), most);
      const [[x, y], [across, down]] = [look.centre[step], look.extent[step]];
      const frame = { ...box(within(x - across / 2), within(y - down / 2), within(x + across / 2), within(y + down / 2)), fill: "none" };
      parts.push(draw("rect", { ...frame, stroke: "#ffffff", "stroke-width": 4, opacity: 0.75 }));
      parts.push(draw("rect", { ...frame, ...this.stroke(name), "stroke-width": 2, class: "window" }));
    });
    return draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, role: "img", "aria-label": label }, ...parts);
  }

  private drawing(step: number, colours: Palette): SVGSVGElement {
    return this.scene(this.canvas.after[step], step, SIDE, colours, `The drawing after step ${step + 1}`, false);
  }

  private saved(): SVGSVGElement {
    const made = this.drawing(this.shown, LIGHT);
    // It is saved before its picture is loaded, which is when pixels are told from a photograph: as it is on the page.
    made.querySelector("image")!.style.imageRendering = this.stage.querySelector("image")!.style.imageRendering;
    return made;
  }

  override light(): void {
    const step = Math.min(Math.max(this.place.step, 0), this.canvas.after.length - 1);
    if (step === this.shown) return;
    this.shown = step;
    this.player?.follow(step);
    this.stage.replaceChildren(this.drawing(step, palette()));
    this.legend.replaceChildren(
      ...this.windows.map(([name, look]) => {
        const line = draw("rect", { x: 2, y: 2, width: 20, height: 9, fill: "none", "stroke-width": 2, ...this.stroke(name) });
        const sample = draw("svg", { width: 24, height: 13 }, draw("rect", { width: 24, height: 13, fill: "#ffffff" }), line);
        return make("span", {}, sample, " ", isolated(name), `: ${measures(look, step)}`);
      }),
    );
    const { name, entry, reading } = this.panel;
    const { picture } = entry.trace;
    if (!picture) return;
    const titled = (title: string, shown: Element) => make("div", { class: "patch-side" }, make("p", { class: "quiet" }, title), shown);
    const parts = [titled("The picture that was given", this.scene(picture, step, GIVEN, palette(), "The picture that was given", true))];
    // What is written is not seen: only windows that read lie in the picture.
    const { look } = reading;
    if (look.kind === "windows" && name !== this.canvas.look) parts.push(titled("What it saw there", make("div", { class: "patch" }, ...seen(picture, look, step))));
    this.given.replaceChildren(...parts);
  }
}

customElements.define("attend-canvas", Drawing);
