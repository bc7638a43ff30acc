// A picture for each step (DRAW's canvas, video frames) with that step's windows, beside the input's picture.

import { draw, isolated, make, pictured, FONT, type Attributes } from "./elements";
import { LIGHT, palette, type Palette } from "./colour";
import { framed, saving, steered, View } from "./view";
import { player, type Player } from "./player";
import { frameOf, inputPicture, proportions, size, stepPictures, writes, type Windows } from "./trace";
import { measures, seen } from "./windows";

const SIDE = 420;
const GIVEN = 264;
// Windows may reach over the image's edge: they are cut at this many half images from its centre.
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

  private get pictures(): { owner: string; uris: string[] } {
    return stepPictures(this.panel.entry.trace)!;
  }

  /** The looks that have a window for each picture, or several. */
  private get windows(): [string, Windows][] {
    const looks = Object.entries(this.panel.entry.trace.looks);
    const fits = (count: number) => count > 0 && count % this.pictures.uris.length === 0;
    return looks.filter((named): named is [string, Windows] => named[1].kind === "windows" && fits(size(named[1].steps)));
  }

  private stroke(name: string): Attributes {
    return name === this.pictures.owner ? WROTE : READ;
  }

  /** A picture, and the windows of a frame over it: all of them, or without those that lie in the pictures of each step. */
  private scene(picture: string, frame: number, side: number, colours: Palette, label: string, others: boolean): SVGSVGElement {
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
      if (others && name === this.pictures.owner) return;
      // Windows cut at the same edge stay apart.
      const most = reach - INSET * (inside + 1);
      const within = (place: number) => Math.min(Math.max(place, -most), most);
      const each = look.centre.length / this.pictures.uris.length;
      for (let row = frame * each; row < (frame + 1) * each; row++) {
        const [[x, y], [across, down]] = [look.centre[row], look.extent[row]];
        const outline = { ...box(within(x - across / 2), within(y - down / 2), within(x + across / 2), within(y + down / 2)), fill: "none" };
        parts.push(draw("rect", { ...outline, stroke: "#ffffff", "stroke-width": 4, opacity: 0.75 }));
        parts.push(draw("rect", { ...outline, ...this.stroke(name), "stroke-width": 2, class: "window" }));
      }
    });
    return draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, role: "img", "aria-label": label }, ...parts);
  }

  private drawing(frame: number, colours: Palette): SVGSVGElement {
    return this.scene(this.pictures.uris[frame], frame, SIDE, colours, `The drawing after step ${frame + 1}`, false);
  }

  private frame(step: number): number {
    return frameOf(this.pictures.uris.length, Math.max(this.panel.reading.steps.length, 1), step);
  }

  private saved(): SVGSVGElement {
    const made = this.drawing(this.frame(this.shown), LIGHT);
    // It is saved before its picture is loaded, which is when pixels are told from a photograph: as it is on the page.
    made.querySelector("image")!.style.imageRendering = this.stage.querySelector("image")!.style.imageRendering;
    return made;
  }

  override light(): void {
    const { name, entry, reading } = this.panel;
    const { owner, uris } = this.pictures;
    const step = Math.min(Math.max(this.place.step, 0), Math.max(reading.steps.length, 1) - 1);
    if (step === this.shown) return;
    this.shown = step;
    this.player?.follow(step);
    const frame = this.frame(step);
    this.stage.replaceChildren(this.drawing(frame, palette()));
    this.legend.replaceChildren(
      ...this.windows.map(([name, look]) => {
        const line = draw("rect", { x: 2, y: 2, width: 20, height: 9, fill: "none", "stroke-width": 2, ...this.stroke(name) });
        const sample = draw("svg", { width: 24, height: 13 }, draw("rect", { width: 24, height: 13, fill: "#ffffff" }), line);
        return make("span", {}, sample, " ", isolated(name), `: ${measures(look, frame * (look.centre.length / uris.length))}`);
      }),
    );
    const picture = inputPicture(entry.trace);
    const titled = (title: string, shown: Element) => make("div", { class: "patch-side" }, make("p", { class: "quiet" }, title), shown);
    const parts: Element[] = [];
    if (picture) parts.push(titled("The picture that was given", this.scene(picture, frame, GIVEN, palette(), "The picture that was given", true)));
    // Where the model writes, it sees nothing.
    const under = writes(name, entry.trace) ? undefined : name === owner ? uris[frame] : picture;
    const { look } = reading;
    if (look.kind === "windows" && under) parts.push(titled("What it saw there", make("div", { class: "patch" }, ...seen(under, look, step))));
    this.given.replaceChildren(...parts);
  }
}

customElements.define("attend-drawing", Drawing);
