// Bundles src/index.js and makes a component of it.
import { build } from "esbuild";
import { SpinEsbuildPlugin } from "@spinframework/build-tools/plugins/esbuild";

await build({
    entryPoints: ["./src/index.js"],
    outfile: "./build/bundle.js",
    bundle: true,
    format: "esm",
    platform: "browser",
    plugins: [await SpinEsbuildPlugin({ componentize: { output: "./dist/api.wasm", initLocation: "http://guestbook.localhost" } })],
});
