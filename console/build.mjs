// Bundles the console into dist/: one script, one style sheet, one page. `node build.mjs [outdir]`
import { build } from "esbuild";
import { copyFile, mkdir } from "node:fs/promises";

const outdir = process.argv[2] ?? "dist";
await mkdir(outdir, { recursive: true });
await build({
  entryPoints: { app: "src/main.tsx" },
  bundle: true, minify: true, format: "esm", target: ["es2021"], outdir, legalComments: "none",
  jsx: "automatic", jsxImportSource: "preact", logLevel: "warning",
});
await copyFile("src/index.html", `${outdir}/index.html`);
await copyFile("src/icon.svg", `${outdir}/icon.svg`);
