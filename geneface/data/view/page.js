// Unpacks what the page carries, and runs its clock: the sound's where there is one, else that of the wall.
const LATE = 90;  // pictures that take longer are drawn coarser while they move [ms]
const find = id => document.getElementById(id);

async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// Every array of the page, by its name; integers that stand for fractions become those.
function unpacked(buffer, table) {
  const kinds = {f4: Float32Array, i2: Int16Array, u2: Uint16Array, u4: Uint32Array, u1: Uint8Array};
  return Object.fromEntries(table.map(({name, kind, at, count, scale}) => {
    const array = new kinds[kind](buffer, at, count);
    return [name, scale === null ? array : Float32Array.from(array, value => value * scale)];
  }));
}

class Player {
  constructor(page, show) {
    Object.assign(this, {page, show, frame: 0, time: 0, late: 0, playing: false, sound: null});
  }

  get heard() { return this.sound && this.time < this.sound.duration; }

  seek(frame) {
    this.frame = Math.max(0, Math.min(this.page.frames - 1, frame));
    this.time = this.frame / this.page.fps;
    if (this.sound) {
      this.sound.currentTime = Math.min(this.time + 1e-4, this.sound.duration || 0);
      if (this.playing && this.heard) this.sound.play(); else this.sound.pause();
    }
    this.show(this.frame);
  }

  play() {
    if (this.frame >= this.page.frames - 1) this.seek(0);
    this.playing = true;
    this.before = performance.now();
    this.seek(this.frame);
    find("play").textContent = "❚❚";
    requestAnimationFrame(now => this.step(now));
  }

  pause() {
    this.playing = false;
    this.late = 0;
    this.sound?.pause();
    this.show(this.frame);
    find("play").textContent = "▶";
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  step(now) {
    if (!this.playing) return;
    const speed = Number(find("speed").value), passed = (now - this.before) / 1000 * speed;
    if (now - this.before > LATE) this.late++;
    this.before = now;
    if (this.sound) this.sound.playbackRate = speed;
    // The sound stands still while it is being fetched, and so does the head.
    this.time = this.heard && !this.sound.ended ? Math.max(this.sound.currentTime, this.time - 0.25) : this.time + passed;
    if (this.time >= this.page.seconds) {
      if (!find("loop").checked) { this.pause(); this.seek(this.page.frames - 1); return; }
      this.seek(0);
    }
    const frame = Math.min(this.page.frames - 1, Math.floor(this.time * this.page.fps + 1e-6));
    if (frame !== this.frame) { this.frame = frame; this.show(frame); }
    requestAnimationFrame(next => this.step(next));
  }
}

function chooseTheme(name) {
  document.documentElement.dataset.theme = name || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function keys(player) {
  document.addEventListener("keydown", event => {
    if (event.target.matches("input:not([type=range], [type=checkbox]), select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const second = Math.max(1, Math.round(player.page.fps)), step = event.shiftKey ? second : 1;
    const actions = {" ": () => player.toggle(), ArrowLeft: () => player.seek(player.frame - step),
                     ArrowRight: () => player.seek(player.frame + step), Home: () => player.seek(0),
                     End: () => player.seek(player.page.frames - 1), l: () => find("loop").click(), m: () => find("mute")?.click()};
    const action = actions[event.key] || actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

async function main() {
  const page = JSON.parse(find("page").textContent), wanted = new URLSearchParams(location.hash.slice(1));
  chooseTheme(wanted.get("theme"));
  const arrays = unpacked(await inflated(find("arrays").textContent), page.arrays);
  page.wave = arrays.wave;
  const takes = page.takes.map((take, k) => {
    const of = name => arrays[`take${k}.${name}`];
    const curves = take.curves.map((curve, j) => ({...curve, values: of("curves").subarray(j * take.frames, (j + 1) * take.frames)}));
    return {...take, curves, weights: of("weights"), rotations: of("rotations"), positions: of("positions"), opening: of("opening")};
  });
  const player = new Player(page, frame => {
    find("scrub").value = frame;
    find("clock").textContent = `${(frame / page.fps).toFixed(2)} s · frame ${frame + 1} of ${page.frames}`;
    charts.show(frame);
    stage?.heads.forEach((head, k) => head.pose(takes[k], Math.min(frame, takes[k].frames - 1)));
    if (stage) stage.coarse = player.playing && player.late > 3;
    stage?.draw();
  });
  const charts = new Charts(page, takes, arrays.distance, frame => player.seek(frame));
  let stage = null;
  find("scrub").oninput = event => player.seek(Number(event.target.value));
  find("play").onclick = () => player.toggle();
  find("theme").onclick = () => {
    chooseTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    charts.redraw();
  };
  const search = find("search");
  search.oninput = () => { if (charts.addWeight(search.value)) search.value = ""; };
  search.onkeydown = event => {
    const word = search.value.toLowerCase();
    const name = word && page.names.find(name => name.toLowerCase().includes(word));
    if (event.key === "Enter" && name && charts.addWeight(name)) search.value = "";
  };
  document.querySelectorAll("[data-weight]").forEach(button => { button.onclick = () => charts.addWeight(button.dataset.weight); });
  keys(player);
  if (find("sound")) {
    const bytes = Uint8Array.from(atob(find("sound").textContent), character => character.charCodeAt(0));
    const sound = player.sound = new Audio(URL.createObjectURL(new Blob([bytes], {type: "audio/mp4"})));
    sound.preservesPitch = true;
    find("mute").onchange = event => { sound.muted = event.target.checked; };
    sound.onerror = () => { player.sound = null; };  // a browser without AAC: the motion plays on, silently
  }
  const address = URL.createObjectURL(new Blob([await inflated(find("three").textContent)], {type: "text/javascript"}));
  const THREE = await import(address);
  URL.revokeObjectURL(address);
  const shapes = {...arrays, deltas: {start: arrays.start, index: arrays.index, value: arrays.value, scale: page.deltaScale}};
  try {
    stage = new Stage(THREE, find("head"), shapes, takes.length);
  } catch (error) {
    find("notice").textContent = "This browser cannot draw in 3D (WebGL is off): only the curves move.";
    find("notice").hidden = false;
  }
  if (find("layout")) find("layout").onclick = event => {
    stage.overlay = !stage.overlay;
    event.target.textContent = stage.overlay ? "side by side" : "overlay";
    stage.draw();
  };
  if (stage) new ResizeObserver(() => stage.draw()).observe(find("stage"));
  player.seek(Number(wanted.get("frame")) || 0);
  document.documentElement.dataset.ready = stage ? "drawn" : "curves";
}

main();
