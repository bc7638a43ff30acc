// One script and one style, for the wheel: `make page`. The same sources give the same bytes.
import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = process.argv[2] ?? here("../src/attend/serve/static");

await build({
  entryPoints: [{ in: here("source/page.ts"), out: "explorer" }, { in: here("source/style.css"), out: "explorer" }],
  outdir: out,
  bundle: true,
  minify: true,
  charset: "utf8",
  // A classic script: modules do not load from file://.
  format: "iife",
  target: ["es2022", "chrome109", "firefox110", "safari16"],
  legalComments: "none",
  banner: { js: "/* attend, Apache-2.0; with d3 modules, ISC, (c) Mike Bostock */" },
  logLevel: "warning",
});

// Both are put inside elements of one-file pages, which such text would end.
for (const name of ["explorer.js", "explorer.css"]) {
  const text = await readFile(`${out}/${name}`, "utf8");
  if (/<\/(script|style)|<!--/i.test(text)) throw new Error(`${name} holds what would end its element in a page`);
}
