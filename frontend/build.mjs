// Bundles the front end into the package: viewer (NiiVue), page helpers and htmx, each one file, all local.
import { build } from "esbuild";
import { copyFile, mkdir, rm } from "node:fs/promises";

const out = new URL("../src/marrowscope/web/static/bundle/", import.meta.url).pathname;
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({
  entryPoints: ["src/viewer.ts", "src/pages.ts"],
  outdir: out,
  bundle: true,
  format: "esm",
  minify: true,
  legalComments: "linked",
  target: "es2022",
  logLevel: "warning",
});
await copyFile("node_modules/htmx.org/dist/htmx.min.js", `${out}/htmx.js`);
