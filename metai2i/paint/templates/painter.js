// The map on the screen: tools, classes, zoom, mouse and keyboard.

const KEPT = "metai2i paint";
const $ = (id) => document.getElementById(id);

/** An element with properties and what is in it; texts are texts, never markup. */
function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "role") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Of several askings the last one counts: what `next()` returns tells whether nobody has asked since. */
class Turn {
  next() {
    const mine = (this.newest = {});
    return () => mine === this.newest;
  }
}

/** Tell a screen reader something that has been done. */
function say(text) {
  $("status").textContent = text;
}

const TOOLS = { brush: "Brush", line: "Line", box: "Box", fill: "Fill", pick: "Pick" };
const KEYS = { brush: "B", line: "L", box: "X", fill: "F", pick: "P" };
const ZOOM_STEP = Math.SQRT2;

class Painter {
  /** `changed` is called after each change of the map. */
  constructor(state, changed) {
    [this.height, this.width] = state.size;
    this.classes = state.classes;
    this.map = new LabelMap(this.height, this.width, state.bytes);
    this.changed = changed;
    this.tool = "brush";
    this.chosen = 0;
    this.size = Math.max(1, Math.round(Math.min(this.height, this.width) / 16));
    this.zoom = null;
    this.cursor = { x: this.width >> 1, y: this.height >> 1, shown: false };
    this.gesture = null;
    this.canvas = $("canvas");
    this.canvas.width = this.width;
    this.canvas.height = this.height;
    this.context = this.canvas.getContext("2d");
    this.pixels = this.context.createImageData(this.width, this.height);
    this.colours = new Uint32Array(this.classes.length);
    const packed = new Uint8Array(this.colours.buffer);
    this.classes.forEach(({ colour }, n) => packed.set([...colour, 255], n * 4));
    this._buildTools();
    this._buildClasses();
    this._listen();
    new ResizeObserver(() => this.fit()).observe($("scroller"));
    this.fit();
    this.draw();
  }

  // What is seen

  draw() {
    const words = new Uint32Array(this.pixels.data.buffer);
    const { ids } = this.map;
    for (let place = 0; place < ids.length; place++) words[place] = this.colours[ids[place]];
    this.context.putImageData(this.pixels, 0, 0);
    $("undo").disabled = !this.map.past.length;
    $("redo").disabled = !this.map.future.length;
    this.outline();
  }

  /** Pixels of the screen for a pixel of the map. */
  get scale() {
    if (this.zoom) return this.zoom;
    const room = $("scroller").clientWidth;
    const high = Math.max(240, window.innerHeight * 0.66);
    return Math.max(0.25, Math.min(room / this.width, high / this.height));
  }

  fit() {
    const scale = this.scale;
    for (const each of [this.canvas, $("stack")]) {
      each.style.width = `${Math.round(this.width * scale)}px`;
      each.style.height = `${Math.round(this.height * scale)}px`;
    }
    this.outline();
  }

  setZoom(zoom) {
    const scroller = $("scroller");
    const before = this.scale;
    const centre = [scroller.scrollLeft + scroller.clientWidth / 2, scroller.scrollTop + scroller.clientHeight / 2];
    this.zoom = zoom && Math.max(0.25, Math.min(64, zoom));
    this.fit();
    const ratio = this.scale / before;
    scroller.scrollLeft = centre[0] * ratio - scroller.clientWidth / 2;
    scroller.scrollTop = centre[1] * ratio - scroller.clientHeight / 2;
    say(this.zoom ? `zoom ${this.scale.toFixed(1)}` : "zoom fits");
  }

  /** Show which pixels the brush would paint. */
  outline() {
    const overlay = $("overlay");
    const scale = this.scale;
    const dense = window.devicePixelRatio || 1;
    overlay.style.width = this.canvas.style.width;
    overlay.style.height = this.canvas.style.height;
    overlay.width = Math.min(8192, Math.round(this.width * scale * dense));
    overlay.height = Math.min(8192, Math.round(this.height * scale * dense));
    if (!this.cursor.shown) return;
    const context = overlay.getContext("2d");
    context.scale(overlay.width / this.width, overlay.height / this.height);
    const size = ["brush", "line"].includes(this.tool) ? this.size : 1;
    const path = new Path2D();
    const rows = discRows(size);
    rows.forEach(([left, row, right], n) => {
      const [x, y, end] = [this.cursor.x + left, this.cursor.y + row, this.cursor.x + right + 1];
      path.moveTo(x, y), path.lineTo(x, y + 1), path.moveTo(end, y), path.lineTo(end, y + 1);
      for (const [other, edge] of [[rows[n - 1], y], [rows[n + 1], y + 1]]) {
        const [from, to] = other ? [this.cursor.x + other[0], this.cursor.x + other[2] + 1] : [end, end];
        path.moveTo(x, edge), path.lineTo(Math.min(from, end), edge);
        if (other) path.moveTo(Math.max(to, x), edge), path.lineTo(end, edge);
      }
    });
    for (const [colour, width] of [["#fff", 3.5], ["#000", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width / scale;
      context.stroke(path);
    }
  }

  showPlace() {
    const { x, y } = this.cursor;
    $("where").textContent = `row ${y}, column ${x}: ${this.classes[this.map.at(x, y)].name}`;
  }

  // Tools and classes

  _buildTools() {
    for (const [name, title] of Object.entries(TOOLS)) {
      const letter = KEYS[name];
      const button = el("button", {
        type: "button", role: "radio", id: `tool-${name}`, title: `${title} (${letter})`, className: "tool",
        onclick: () => this.setTool(name),
      }, icon(name), el("span", {}, title));
      $("tools").append(button);
    }
    this._radios($("tools"));
    this.setTool("brush");
  }

  setTool(name) {
    this.end();
    this.tool = name;
    this._check($("tools"), $(`tool-${name}`));
    this.outline();
  }

  _buildClasses() {
    this.classes.forEach(({ name, colour }, n) => {
      const swatch = el("span", { className: "swatch" });
      swatch.style.background = `rgb(${colour.join(" ")})`;
      const key = n < 9 ? el("kbd", { "aria-hidden": "true" }, String(n + 1)) : "";
      $("classes").append(el("button", {
        type: "button", role: "radio", id: `class-${n}`, className: "class", "aria-label": name, title: `${name} (id ${n})`,
        onclick: () => this.choose(n),
      }, swatch, el("span", { className: "name" }, name), key));
    });
    this._radios($("classes"));
    this.choose(0);
  }

  choose(n) {
    this.chosen = (n + this.classes.length) % this.classes.length;
    const button = $(`class-${this.chosen}`);
    this._check($("classes"), button);
    button.scrollIntoView({ block: "nearest", inline: "nearest" });
    say(this.classes[this.chosen].name);
  }

  setSize(size) {
    this.size = Math.max(1, Math.min(Number($("brush").max), size));
    $("brush").value = this.size;
    $("brush-value").textContent = this.size;
    this.outline();
    say(`size ${this.size}`);
  }

  /** One of a group can be reached by Tab, the others by arrow keys. */
  _radios(group) {
    group.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = [...group.children];
      const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
      next.focus();
      next.click();
      event.preventDefault();
      event.stopPropagation();
    });
  }

  _check(group, chosen) {
    for (const each of group.children) {
      each.setAttribute("aria-checked", each === chosen);
      each.tabIndex = each === chosen ? 0 : -1;
    }
  }

  // Strokes: a gesture begins, moves and ends, by mouse or by keyboard

  begin(x, y) {
    if (this.tool === "pick") return this.pick(x, y);
    this.gesture = { before: this.map.ids.slice(), x, y, x0: x, y0: y };
    if (this.tool === "fill") this.map.fill(x, y, this.chosen);
    else this._shape(x, y);
    this.draw();
  }

  move(x, y) {
    const { gesture } = this;
    if (!gesture || this.tool === "fill" || (x === gesture.x && y === gesture.y)) return;
    this._shape(x, y);
    this.draw();
  }

  _shape(x, y) {
    const { gesture, map } = this;
    if (this.tool === "brush") map.line(gesture.x, gesture.y, x, y, this.size, this.chosen);
    else {
      map.ids.set(gesture.before);
      if (this.tool === "line") map.line(gesture.x0, gesture.y0, x, y, this.size, this.chosen);
      else map.box(gesture.x0, gesture.y0, x, y, this.chosen);
    }
    Object.assign(gesture, { x, y });
    this.changed();
  }

  end() {
    if (!this.gesture) return;
    const changed = this.map.commit(this.gesture.before);
    this.gesture = null;
    this.draw();
    this.showPlace();
    if (changed) this.changed();
  }

  cancel() {
    if (!this.gesture) return;
    this.map.ids.set(this.gesture.before);
    this.gesture = null;
    this.draw();
    this.changed();
  }

  pick(x, y) {
    this.choose(this.map.at(x, y));
  }

  undo() {
    if (this.gesture) this.cancel();
    else if (this.map.undo()) this._after("undone");
  }

  redo() {
    this.cancel();
    if (this.map.redo()) this._after("done again");
  }

  /** Put another map in, which can be undone. */
  load(ids, what) {
    this.cancel();
    this.map.replace(ids);
    this._after(what);
  }

  _after(what) {
    this.draw();
    this.changed();
    say(what);
  }

  // Mouse and keyboard

  _place(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.height);
    return [x, y];
  }

  _inside(x, y) {
    return [Math.max(0, Math.min(this.width - 1, x)), Math.max(0, Math.min(this.height - 1, y))];
  }

  _put(x, y) {
    [this.cursor.x, this.cursor.y] = this._inside(x, y);
    this.cursor.shown = true;
    this.showPlace();
  }

  _listen() {
    const { canvas } = this;
    canvas.setAttribute("aria-label", `Label map, ${this.height} by ${this.width} pixels`);
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      const [x, y] = this._inside(...this._place(event));
      this._put(x, y);
      if (event.button === 2) this.pick(x, y);
      if (event.button !== 0 || this.gesture) return;
      canvas.setPointerCapture(event.pointerId);
      this.begin(x, y);
      if (this.gesture) this.gesture.pointer = event.pointerId;
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.gesture && this.gesture.pointer !== event.pointerId) return; // a second finger, or a palm
      const every = event.getCoalescedEvents?.() ?? [];
      for (const each of every.length ? every : [event]) {
        const [x, y] = this._place(each);
        this._put(x, y);
        if (this.gesture) this.move(...(this.tool === "box" ? this._inside(x, y) : [x, y]));
      }
      this.outline();
    });
    canvas.addEventListener("pointerup", ({ pointerId }) => this.gesture?.pointer === pointerId && this.end());
    canvas.addEventListener("pointercancel", ({ pointerId }) => this.gesture?.pointer === pointerId && this.cancel());
    canvas.addEventListener("pointerleave", () => this._hide());
    canvas.addEventListener("focus", () => {
      if (!canvas.matches(":focus-visible")) return;
      this._put(this.cursor.x, this.cursor.y);
      this.outline();
    });
    canvas.addEventListener("blur", () => {
      this.end();
      this._hide();
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.setZoom(this.scale * (event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this._canvasKey(event));
    canvas.addEventListener("keyup", (event) => {
      if (event.key === " " && this.gesture?.byKey) this.end();
    });
    document.addEventListener("keydown", (event) => this._anyKey(event));
    $("brush").max = Math.max(8, Math.round(Math.min(this.height, this.width) / 2));
    $("brush").addEventListener("input", () => this.setSize(Number($("brush").value)));
    this.setSize(this.size);
    $("undo").onclick = () => this.undo();
    $("redo").onclick = () => this.redo();
    $("zoom-in").onclick = () => this.setZoom(this.scale * ZOOM_STEP);
    $("zoom-out").onclick = () => this.setZoom(this.scale / ZOOM_STEP);
    $("zoom-fit").onclick = () => this.setZoom(null);
    $("clear").onclick = () => {
      this.load(new this.map.kind(this.map.ids.length).fill(this.chosen), `all ${this.classes[this.chosen].name}`);
    };
  }

  _hide() {
    if (document.activeElement === this.canvas && this.canvas.matches(":focus-visible")) return;
    this.cursor.shown = false;
    this.outline();
  }

  _canvasKey(event) {
    const [right, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (right !== undefined) {
      const far = event.shiftKey ? 8 : 1;
      this._put(this.cursor.x + right * far, this.cursor.y + down * far);
      if (this.gesture?.byKey) this.move(this.cursor.x, this.cursor.y);
      this.outline();
      say($("where").textContent);
    } else if (event.key === " ") {
      if (!event.repeat && !this.gesture) {
        this._put(this.cursor.x, this.cursor.y);
        this.begin(this.cursor.x, this.cursor.y);
        if (this.gesture) this.gesture.byKey = true;
        this.changed();
      }
    } else if (event.key === "Enter") this.pick(this.cursor.x, this.cursor.y);
    else if (event.key === "Escape") this.cancel();
    else return;
    event.preventDefault();
  }

  /** Keys that work while the map or one of its tools has the focus, or nothing has. */
  _anyKey(event) {
    const focus = document.activeElement;
    if (document.querySelector("dialog[open]") || focus?.matches("input:not([type=range]), select, textarea")) return;
    if (focus !== document.body && !$("painter").contains(focus)) return;
    const key = event.key.toLowerCase();
    const held = event.ctrlKey || event.metaKey;
    if (held && !event.altKey && (key === "z" || key === "y")) {
      if (key === "y" || event.shiftKey) this.redo();
      else this.undo();
    } else if (held || event.altKey) return;
    else if ("blxfp".includes(key)) this.setTool(Object.keys(KEYS).find((name) => KEYS[name] === key.toUpperCase()));
    else if (/^[1-9]$/.test(key) && Number(key) <= this.classes.length) this.choose(Number(key) - 1);
    else if (key === "," || key === ".") this.choose(this.chosen + (key === "." ? 1 : -1));
    else if (key === "[" || key === "]") this.setSize(this.size + (key === "]" ? 1 : -1));
    else if (key === "+" || key === "=") this.setZoom(this.scale * ZOOM_STEP);
    else if (key === "-") this.setZoom(this.scale / ZOOM_STEP);
    else if (key === "0") this.setZoom(null);
    else return;
    event.preventDefault();
  }
}
