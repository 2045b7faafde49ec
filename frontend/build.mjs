// Bundles the front end into the package: viewer (NiiVue), page helpers and htmx, each one file, all local.
import { build } from "esbuild";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";

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
const made = await build({
  entryPoints: ["src/viewer.ts", "src/pages.ts"],
  outdir: out,
  bundle: true,
  format: "esm",
  minify: true,
  legalComments: "linked",
  metafile: true,
  target: "es2022",
  logLevel: "error",
  plugins: [unlit],
});
await copyFile("node_modules/htmx.org/dist/htmx.min.js", `${out}/htmx.js`);

// What is bundled may be passed on with its licence only. NiiVue's package holds none; it stands in licences/.
async function licence(name) {
  const files = await readdir(`node_modules/${name}`);
  const own = files.find((file) => /^licen[cs]e/i.test(file));
  return readFile(own ? `node_modules/${name}/${own}` : `licences/${name.replace("/", ".")}.txt`, "utf8");
}

const bundled = Object.values(made.metafile.outputs)
  .flatMap((output) => Object.entries(output.inputs))
  .filter(([path, { bytesInOutput }]) => path.includes("node_modules/") && bytesInOutput > 0)
  .map(([path]) => path.split("node_modules/").pop().match(/^(@[^/]+\/)?[^/]+/)[0]);
const names = [...new Set([...bundled, "htmx.org"])].sort();
const notices = await Promise.all(names.map(async (name) => `${name}\n\n${(await licence(name)).trim()}\n`));
await writeFile(`${out}/LICENCES.txt`, notices.join(`\n${"-".repeat(80)}\n\n`));
