// Plays models in three.js in headless Chromium. Standard input: {chromium, page, modules, files: {name: path},
// plays: [{name, model, motion, which, shots: [{name, seconds, yaw, zoom, picture}]}]}; output: what is measured.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const job = JSON.parse(fs.readFileSync(0, "utf-8"));
const { chromium } = createRequire(path.join(job.modules, "x.js"))("playwright-core");
const browser = await chromium.launch({
  executablePath: job.chromium,
  args: ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
});
const types = { ".js": "text/javascript", ".html": "text/html" };
const results = {};
try {
  for (const play of job.plays) {
    const page = await browser.newPage({ viewport: { width: 640, height: 640 } });
    const errors = [];
    page.on("pageerror", error => errors.push(error.message));
    // Nothing leaves the machine: every address is a file of this tool, of its modules or of the exports.
    await page.route("**/*", route => {
      const name = new URL(route.request().url()).pathname;
      const file = name === "/" ? job.page
        : name.startsWith("/modules/") ? path.join(job.modules, name.slice(9)) : job.files[name.slice(1)];
      if (!file || !fs.existsSync(file)) return route.fulfill({ status: 404 });
      const contentType = types[path.extname(file)] ?? "application/octet-stream";
      return route.fulfill({ body: fs.readFileSync(file), contentType });
    });
    await page.goto("http://exports.invalid/");
    await page.waitForFunction(() => window.ready, null, { timeout: 60000 });
    const address = name => name && `/${name}`;
    const what = [address(play.model), address(play.motion), play.which];
    const loaded = await page.evaluate(([model, motion, which]) => window.load(model, motion, which), what);
    const shots = {};
    for (const shot of play.shots) {
      shots[shot.name] = await page.evaluate(([t, y, z]) => window.at(t, y, z), [shot.seconds, shot.yaw, shot.zoom]);
      if (shot.picture) await page.screenshot({ path: shot.picture });
    }
    results[play.name] = { ...loaded, errors, shots };
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(results));
