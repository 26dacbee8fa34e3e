// The rows of curves: names on the left, values on the right, one window of time for all.
const LONGEST = 10;  // most seconds shown at first

class Charts {
  constructor(page, takes, apart, onSeek) {
    Object.assign(this, {page, takes, apart, onSeek});
    this.rows = [];
    this.frame = 0;
    this.span = Math.min(page.seconds, LONGEST);
    this.from = 0;
    this.box = document.getElementById("rows");
    this.line = document.getElementById("playhead");
    if (page.wave || page.words.length) this.addSound();
    const names = [...new Set(takes.flatMap(take => take.curves.map(curve => curve.name)))];
    for (const name of names) {
      const curves = takes.map(take => take.curves.find(curve => curve.name === name));
      this.addRow(name, curves.find(Boolean).unit, curves.find(Boolean).least, curves.map(curve => curve && curve.values));
    }
    if (apart) this.addRow("distance", "mm", 2, [apart], ["apart"]);
    this.handle();
  }

  // One row of the page; `lines` as addRow takes them, or what draws the row.
  element(name, unit) {
    const element = document.createElement("div"), label = document.createElement("span");
    element.className = "row";
    label.className = "name";
    label.textContent = name;
    if (unit) label.appendChild(document.createElement("small")).textContent = ", " + unit;
    const canvas = document.createElement("canvas"), value = document.createElement("span");
    value.className = "value";
    element.append(label, canvas, value);
    this.box.append(element);
    return {element, label, canvas, value, name, unit};
  }

  addSound() {
    const row = this.element("sound", "");
    row.element.classList.add("sound");
    row.paint = pen => this.paintSound(row, pen);
    row.says = time => (this.page.words.find(([begin, end]) => begin <= time && time < end) || ["", "", ""])[2];
    this.rows.push(row);
  }

  // lines: values of each take, undefined where it has none.
  addRow(name, unit, least, lines, colours = this.takes.length > 1 ? ["a", "b"] : ["a"]) {
    const row = this.element(name, unit), there = lines.filter(Boolean);
    let low = Math.min(...there.map(values => values.reduce((a, b) => Math.min(a, b), Infinity)));
    let high = Math.max(...there.map(values => values.reduce((a, b) => Math.max(a, b), -Infinity)));
    if (unit) {
      const middle = (low + high) / 2, half = Math.max(high - low, least) / 2;
      [low, high] = [middle - half, middle + half];
    } else {
      low = Math.min(low, 0);
      high = Math.max(high, 0, low + least);
    }
    row.values = lines.map((values, k) => {
      const text = document.createElement("i");
      text.className = colours[k];
      row.value.append(text);
      return text;
    });
    row.paint = pen => this.paintCurve(row, pen, lines, colours, low, high);
    row.lines = lines;
    this.rows.push(row);
    return row;
  }

  // A row of one of the 52 weights, which can be taken away again.
  addWeight(name) {
    const index = this.page.names.indexOf(name);
    if (index < 0 || this.rows.some(row => row.weight === name)) return false;
    const lines = this.takes.map(take => take.weights.filter((_, i) => i % 52 === index));
    const row = this.addRow(name, "", 0.3, lines), close = document.createElement("button");
    row.weight = name;
    close.type = "button";
    close.className = "close";
    close.textContent = "×";
    close.title = "Take this row away";
    close.onclick = event => {
      event.stopPropagation();
      row.element.remove();
      this.rows.splice(this.rows.indexOf(row), 1);
    };
    row.label.append(close);
    this.redraw();
    this.show(this.frame);
    row.element.scrollIntoView({block: "nearest"});
    return true;
  }

  x(time, width) { return (time - this.from) / this.span * width; }

  redraw() {
    const style = getComputedStyle(document.documentElement);
    this.colour = Object.fromEntries(["ink", "soft", "line", "wave", "a", "b", "apart"].map(
      name => [name, style.getPropertyValue("--" + name).trim()]));
    for (const row of this.rows) {
      const {canvas} = row, width = canvas.clientWidth, height = canvas.clientHeight, ratio = devicePixelRatio;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      pen.fillStyle = pen.strokeStyle = this.colour.line;
      const step = [0.1, 0.5, 1, 5, 10, 30, 60, 300].find(step => this.x(this.from + step, width) > 28) || 600;
      for (let t = Math.ceil(this.from / step) * step; t <= this.from + this.span; t += step)
        pen.fillRect(Math.round(this.x(t, width)), 0, 1, height);
      row.paint(pen, width, height);
    }
    this.show(this.frame);
  }

  paintCurve(row, pen, lines, colours, low, high) {
    const width = row.canvas.clientWidth, height = row.canvas.clientHeight, {fps} = this.page;
    const y = value => height * (0.88 - 0.76 * (value - low) / (high - low));
    if (low < 0 && high > 0) pen.fillRect(0, Math.round(y(0)), width, 1);
    lines.forEach((values, k) => {
      if (!values) return;
      pen.beginPath();
      pen.strokeStyle = this.colour[colours[k]];
      pen.lineWidth = lines.length > 1 && k === 0 ? 2.6 : 1.3;  // where two are equal, both are seen
      pen.lineJoin = "round";
      const first = Math.max(0, Math.floor(this.from * fps) - 1);
      const last = Math.min(values.length - 1, Math.ceil((this.from + this.span) * fps) + 1);
      for (let i = first; i <= last; i++) pen.lineTo(this.x(i / fps, width), y(values[i]));
      pen.stroke();
    });
  }

  paintSound(row, pen) {
    const width = row.canvas.clientWidth, {wave, waveRate, words} = this.page, middle = 22, half = 18;
    pen.fillStyle = this.colour.wave;
    if (wave) {
      for (let x = 0; x < width; x++) {
        let loud = 0;
        const first = Math.floor((this.from + x / width * this.span) * waveRate);
        const last = Math.max(first + 1, Math.floor((this.from + (x + 1) / width * this.span) * waveRate));
        for (let i = first; i < last && i < wave.length; i++) loud = Math.max(loud, wave[i] / 255);
        pen.fillRect(x, middle - Math.max(0.5, half * loud), 1, Math.max(1, 2 * half * loud));
      }
    }
    pen.fillStyle = this.colour.soft;
    pen.font = "11px system-ui, sans-serif";
    let free = -1;
    for (const [begin, , word] of words) {
      const at = this.x(begin, width);
      if (at < free || at < -20 || at > width) continue;
      pen.fillText(word, at, 56);
      free = at + pen.measureText(word).width + 3;
    }
  }

  // Move the line and the figures to a frame; turn the page where it has left the window.
  show(frame) {
    this.frame = frame;
    const {fps, seconds} = this.page, time = frame / fps;
    if (this.span < seconds && (time < this.from || time >= this.from + this.span)) {
      this.from = Math.max(0, Math.min(Math.floor(time / this.span) * this.span, seconds - this.span));
      this.redraw();
      return;
    }
    for (const row of this.rows) {
      if (row.says) row.value.textContent = row.value.title = row.says(time);
      row.values?.forEach((text, k) => {
        const values = row.lines[k];
        text.textContent = values ? figure(values[Math.min(frame, values.length - 1)], row.unit) : "–";
      });
    }
    const canvas = this.rows[0]?.canvas;
    if (canvas) this.line.style.left = canvas.offsetLeft + this.x(time, canvas.clientWidth) + "px";
  }

  handle() {
    const seek = event => {
      const plot = this.rows[0].canvas.getBoundingClientRect();
      const time = this.from + (event.clientX - plot.left) / plot.width * this.span;
      const inside = event.clientX >= plot.left && event.clientX <= plot.right;
      if (inside) this.onSeek(Math.floor(time * this.page.fps + 1e-6));
    };
    this.box.onpointerdown = event => { if (event.target.tagName === "CANVAS") { this.drags = true; seek(event); } };
    this.box.onpointermove = event => { if (this.drags && event.buttons) seek(event); };
    window.addEventListener("pointerup", () => { this.drags = false; });
    this.box.addEventListener("wheel", event => {
      if (!event.ctrlKey && !event.altKey) return;  // the wheel alone scrolls
      event.preventDefault();
      const time = this.frame / this.page.fps, before = this.span;
      this.span = Math.min(this.page.seconds, Math.max(Math.min(0.5, this.page.seconds), this.span * Math.exp(event.deltaY / 400)));
      this.from = Math.max(0, Math.min(time - (time - this.from) * this.span / before, this.page.seconds - this.span));
      this.redraw();
    }, {passive: false});
    new ResizeObserver(() => this.redraw()).observe(this.box);
  }
}

function figure(value, unit) {
  if (!unit) return value.toFixed(2).replace("-0.00", "0.00");
  return value.toFixed(1).replace(/^-0\.0$/, "0.0") + (unit === "°" ? "°" : " " + unit);
}
