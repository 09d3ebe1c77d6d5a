// Makes @project-name@.wasm: src/index.js and the engine that runs it. To use packages of npm in src/, bundle them into
// one file first (esbuild --bundle --format=esm) and name that file here.
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";

const { component } = await componentize({ sourcePath: "src/index.js", witPath: "wit", worldName: "handler" });
await writeFile("@project-name@.wasm", component);
