// Bundles the front end into the package: viewer (NiiVue), page helpers and htmx, each one file, all local.
import { build } from "esbuild";
import { copyFile, mkdir, readFile, rm } from "node:fs/promises";

// NiiVue computes gradients of every volume, for lit volume rendering: two passes over the whole volume, most of the
// time to the first image, and again at every change of the window. No pane here is lit, so they are left out.
const unlit = {
  name: "no-gradients",
  setup(builder) {
    builder.onLoad({ filter: /@niivue[\\/]niivue[\\/]build[\\/]niivue[\\/]index\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const start = /(function gradientGL\(params\) \{)/;
      if (!start.test(source)) throw new Error("NiiVue changed: gradientGL is not where it was; look at build.mjs");
      return { contents: source.replace(start, "$1 return params.gradientTexture;"), loader: "js" };
    });
  },
};

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
  logLevel: "error",
  plugins: [unlit],
});
await copyFile("node_modules/htmx.org/dist/htmx.min.js", `${out}/htmx.js`);
