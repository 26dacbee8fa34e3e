// Khronos' glTF validator. Arguments: the folder of modules, then files; standard output: {file: issues}.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const [modules, ...files] = process.argv.slice(2);
const validator = createRequire(path.join(modules, "x.js"))("gltf-validator");
const results = {};
for (const file of files) {
  const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)), { maxIssues: 1000 });
  const { numErrors: errors, numWarnings: warnings, messages } = report.issues;
  const grave = messages.filter(one => one.severity < 2).map(one => `${one.code} ${one.pointer}`);
  results[file] = { errors, warnings, messages: grave };
}
console.log(JSON.stringify(results));
