// The alternatives at a step, and decoding on from one of them.

import { aim } from "./act";
import { chart } from "./chart";
import { button, isolated, make } from "./elements";
import { framed, saving, View } from "./view";
import { alternativesAt, answers, visible, type Alternative } from "./trace";

export class Alternatives extends View {
  private body = make("div", { class: "alternatives" });
  private drawn = "";
  private head = "";
  private choices: Alternative[] = [];

  protected draw(): void {
    this.drawn = "";
    this.body = make("div", { class: "alternatives" });
    this.append(framed("Alternatives", [saving("alternatives", () => this.drawing())], this.body));
  }

  private drawing(): SVGSVGElement {
    const values = this.choices.map((choice) => Math.exp(choice.log_prob));
    const column = { name: "probability", values, greatest: 1, signed: false, figure: asProbability };
    return chart("Alternatives", { head: [this.head], names: this.choices.map(({ text }) => visible(text)), columns: [column] });
  }

  override light(): void {
    const { entry, reading, act } = this.panel;
    const { step } = aim(this.panel);
    const shown = step >= 0 && step < reading.steps.length ? step : 0;
    const token = alternativesAt(entry.trace, reading, shown);
    // A classifier has a prediction after each step, though its output is one class.
    const thinks = reading.look.kind === "windows" || answers(entry.trace);
    const choices = entry.trace.alternatives?.[token];
    const key = thinks ? `${token}` : `${token} ${reading.steps[shown]}`;
    if (!choices || key === this.drawn) return;
    this.drawn = key;
    this.choices = choices;
    const written = entry.trace.ids?.[thinks ? 0 : token];
    const can = act.canAsk(entry);
    const rows = choices.map((choice) => {
      const share = Math.exp(choice.log_prob);
      const name = visible(choice.text);
      const fill = make("span", { class: "fill" });
      fill.style.width = `${(share * 100).toFixed(1)}%`;
      const here = choice.id === written;
      const label = here ? (thinks ? "the answer" : "written") : can ? "write this" : "";
      const contents = [
        make("span", { class: "name" }, isolated(name)),
        make("span", { class: "rail" }, fill),
        make("span", { class: "figure" }, asProbability(share)),
        make("span", { class: "what" }, label),
      ];
      if (here || !can) return make("div", { class: here ? "choice-row written" : "choice-row" }, ...contents);
      const act_ = button("", () => act.writeInstead(this.panel, token, choice.id), { class: "choice-row" });
      act_.append(...contents);
      return act_;
    });
    const [word, piece] = [reading.steps[shown], this.panel.tokens.steps[token] ?? ""];
    const of = !thinks && word !== piece ? [", which begins ", isolated(`“${word}”`)] : [];
    const instead = ["Step ", String(shown + 1), ": instead of ", isolated(`“${thinks ? word : piece}”`), ...of];
    const after = entry.trace.alternatives!.length > 1 ? `What it thought after step ${token + 1}` : "What it thought";
    const head = make("p", { class: "quiet" }, ...(thinks ? [after] : instead));
    this.head = head.textContent ?? "";
    this.body.replaceChildren(head, ...rows);
    if (can) this.body.append(this.own(token));
  }

  private own(token: number): HTMLElement {
    const input = make("input", { type: "text", "aria-label": "Another word", placeholder: "another word", maxlength: 200 });
    const form = make("form", { class: "own" }, input, make("button", { type: "submit" }, "Write it"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (input.value.trim()) this.panel.act.writeInstead(this.panel, token, input.value);
    });
    return form;
  }
}

function asProbability(share: number): string {
  return share < 0.0005 ? "<0.001" : share.toFixed(3);
}

customElements.define("attend-alternatives", Alternatives);
