// The interface of the server that the page came from.

import type { Ask, Input } from "./store";
import type { Trace } from "./trace";

export interface ModelInfo {
  name: string;
  /** The kind of its input; "fields" where it has several. */
  reads: string;
  /** The names of its inputs, and the kind of each. */
  inputs: Record<string, string>;
  /** Of each input that varies in length, the most tokens that are read. */
  longest: Record<string, number>;
  /** The kind of its output: "sequence", "classes". */
  output: string;
  /** Whether its prefix and its attention can be forced. */
  steerable: boolean;
  beam: number;
  about: Record<string, string>;
  examples: Input[];
}
export interface Told {
  id: number;
  text: string;
  log_prob: number;
  weights: number[] | null;
}

/** A request that the server refused or did not answer, with a message for people. */
export class Refused extends Error {}

const TOKEN = "attend-token";

/** The part of a request that the server is sent. */
function asked({ why, ...ask }: Ask): Ask {
  return ask;
}

export class Client {
  private readonly token: string | null;

  constructor() {
    // A token comes once, in the address, and must not stay there to be copied along.
    const given = /^#token=(.+)$/.exec(location.hash);
    if (given) {
      sessionStorage.setItem(TOKEN, decodeURIComponent(given[1]));
      history.replaceState(null, "", location.pathname);
    }
    this.token = sessionStorage.getItem(TOKEN);
  }

  async models(): Promise<ModelInfo[]> {
    const answer = await this.call("GET", "/v1/models");
    return ((await answer.json()) as { models: ModelInfo[] }).models;
  }

  async trace(ask: Ask, evidence: boolean, signal: AbortSignal): Promise<Trace> {
    const body = { ...asked(ask), alternatives: 8, evidence };
    const answer = await this.call("POST", "/v1/trace", body, signal);
    return ((await answer.json()) as { trace: Trace }).trace;
  }

  /** Streams the greedy output token by token, and returns its trace. */
  async stream(ask: Ask, tell: (told: Told) => void, signal: AbortSignal): Promise<Trace> {
    const answer = await this.call("POST", "/v1/stream", { ...asked(ask), alternatives: 8 }, signal);
    if (!answer.body) throw new Refused("the server sent nothing");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Refused("the server ended before its answer did");
      rest += value;
      const events = rest.split("\n\n");
      rest = events.pop()!;
      for (const event of events) {
        const name = /^event: (.*)$/m.exec(event)?.[1];
        const data = /^data: (.*)$/m.exec(event)?.[1] ?? "null";
        if (name === "token") tell(JSON.parse(data) as Told);
        if (name === "done") return (JSON.parse(data) as { trace: Trace }).trace;
        if (name === "error") throw new Refused((JSON.parse(data) as { detail: string }).detail);
      }
    }
  }

  /** The one-file page without traces, to put some into. */
  async emptyPage(): Promise<string> {
    return (await this.call("GET", "/page.html")).text();
  }

  private async call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    let answer: Response;
    try {
      const sent = body === undefined ? undefined : JSON.stringify(body);
      answer = await fetch(path, { method, headers, body: sent, signal });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Refused("the server does not answer: is “attend serve” still running?");
    }
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
    throw new Refused(problem.detail ?? `the server answered ${answer.status}`);
  }
}
