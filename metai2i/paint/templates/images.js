// The images of the map beside it, a card for each model that is shown.

/** Ask the server; what it refuses is thrown as its message. */
async function ask(address, body) {
  let answer;
  try {
    answer = await fetch(address, body === undefined ? {} : { method: "POST", body });
  } catch {
    throw new Error("the server does not answer; is `metai2i paint` still running?");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = text;
  try {
    message = JSON.parse(text).error;
  } catch {
    // as it is
  }
  throw Object.assign(new Error(message), { status: answer.status });
}

const askJson = async (address, content) => (await ask(address, JSON.stringify(content))).json();

/** Files in one body: a line with their names and sizes, and their bytes. */
function bodyOf(files) {
  const head = JSON.stringify(files.map(([name, file]) => [name, file.size]));
  return new Blob([`${head}\n`, ...files.map(([, file]) => file)]);
}

function complain(error) {
  $("alert-text").textContent = error.message ?? String(error);
  $("alert").hidden = false;
}

function saveAs(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** Let the user choose files; the input is there only while it is needed. */
function chooseFiles(input, then) {
  input.value = "";
  input.onchange = () => input.files.length && then([...input.files]);
  input.click();
}

const slug = (text) => text.toLowerCase().replace(/[^a-z0-9._]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "image";

/** A model's image, how it is asked for, and what can be done with it. */
class Card {
  constructor(model, images) {
    this.model = model;
    this.images = images;
    this.way = model.ways.find(({ name }) => name === model.way) ?? model.ways[0];
    this.sample = 0;
    this.domain = "";
    this.exemplar = null;
    this.exemplars = new Turn();
    this.blob = null; // the last image that came, and its address on the page
    this.url = null;
    this.failed = false; // whether what was asked for behind it has been refused
    this.build();
  }

  build() {
    const { model } = this;
    this.image = el("img", { alt: `Image by ${model.title}, ${model.detail}`, className: "pixels" });
    this.image.hidden = true;
    this.note = el("p", { className: "caption bad" });
    this.save = el("button", { type: "button", onclick: () => this.saveImage(), disabled: true }, "Save");
    this.save.setAttribute("aria-label", `Save the image by ${model.title}, ${model.detail}`);
    const buttons = [this.save];
    if (model.keepable) {
      const keep = el("button", { type: "button", onclick: () => this.images.keep(this.model) }, "Keep the model …");
      keep.setAttribute("aria-label", `Keep the model ${model.title}, ${model.detail}`);
      buttons.push(keep);
    }
    const file = model.file ? el("span", { className: "file", title: model.file }, model.file.split("/").pop()) : "";
    const element = el("figure", { className: "card" },
      el("div", { className: "frame" }, this.image),
      el("figcaption", {}, el("strong", {}, model.title), el("span", { className: "caption" }, model.detail), file),
      this.note, this.controls(), el("div", { className: "row" }, ...buttons));
    this.element?.replaceWith(element);
    this.element = element;
  }

  controls() {
    const { ways } = this.model;
    const box = el("div", { className: "ways" });
    if (ways.length > 1) {
      const select = el("select", {
        onchange: () => {
          this.way = ways[select.selectedIndex];
          this.sample = 0;
          this.blob = null; // the image of another way is none of this one
          this.url = null;
          this.images.arrange();
          this.again();
        },
      }, ...ways.map(({ name }) => el("option", { selected: name === this.way.name }, name)));
      box.append(el("label", {}, "Way ", select));
    }
    if (this.way.domain) {
      const from = this.model.support && this.way.domain_of_support ? "the support's" : "choose …";
      const select = el("select", {
        onchange: () => {
          this.domain = select.value;
          this.again();
        },
      }, el("option", { value: "" }, from), ...this.way.domains.map((name) => el("option", { value: name, selected: name === this.domain }, name)));
      box.append(el("label", {}, "Domain ", select));
    }
    if (this.way.exemplar) box.append(this.exemplarControl());
    if (this.way.draws) {
      const draw = el("button", { type: "button", onclick: () => this.draw() }, "Draw another");
      box.append(el("span", { className: "row" }, draw, el("span", { className: "caption" }, `sample ${this.sample}`)));
    }
    return box;
  }

  exemplarControl() {
    const photo = el("input", { type: "file", accept: "image/*", "aria-label": "The exemplar's photograph" });
    const label = el("input", { type: "file", accept: "image/*", "aria-label": "The exemplar's label map" });
    const send = async () => {
      if (!photo.files.length || (this.way.exemplar_map && !label.files.length)) return;
      const files = [[`photo/${photo.files[0].name}`, photo.files[0]]];
      if (this.way.exemplar_map) files.push([`map/${label.files[0].name}`, label.files[0]]);
      const last = this.exemplars.next();
      try {
        const { key } = await (await ask("/exemplars", bodyOf(files))).json();
        if (!last()) return;
        this.exemplar = key;
        this.again();
      } catch (error) {
        complain(error);
      }
    };
    photo.onchange = send;
    label.onchange = send;
    const parts = [el("label", {}, "Exemplar ", photo)];
    if (this.way.exemplar_map) parts.push(el("label", {}, "its map ", label));
    if (this.exemplar) {
      parts.push(el("button", { type: "button", className: "quiet", onclick: () => { this.exemplar = null; this.again(); } },
        this.model.support ? "Show the support's again" : "Leave it out"));
    } else parts.push(el("span", { className: "caption" }, this.model.support ? "now: one of the support" : "none yet"));
    return el("div", { className: "exemplar" }, ...parts);
  }

  again() {
    const focused = [...this.element.querySelectorAll("select, button, input")].indexOf(document.activeElement);
    this.build();
    this.element.querySelectorAll("select, button, input")[focused]?.focus();
    if (this.url) this.show();
    this.refresh();
  }

  draw() {
    this.sample = (this.sample + 1) % 1000;
    this.again();
  }

  address() {
    const query = new URLSearchParams({ model: this.model.key, sample: this.sample });
    if (this.way.name !== null) query.set("way", this.way.name);
    if (this.domain && this.way.domain) query.set("domain", this.domain);
    if (this.exemplar && this.way.exemplar) query.set("exemplar", this.exemplar);
    for (const name of this.way.files) if (this.images.inputs[name]) query.set(`file.${name}`, this.images.inputs[name].key);
    return `/image?${query}`;
  }

  /** Ask for the image of the map as it is now; while one is on its way, the next waits for it. */
  refresh() {
    this.dirty = true;
    if (!this.busy) this.done = this._ask();
  }

  async _ask() {
    this.busy = true;
    this.images.tellBusy();
    while (this.dirty) {
      this.dirty = false;
      const { way } = this;
      const bytes = way.painted.length > 0 ? this.images.bytes() : new Uint8Array();
      try {
        const blob = await (await ask(this.address(), bytes)).blob();
        if (way !== this.way) continue; // the image of this way is being asked for next
        this.take(blob);
        this.note.textContent = "";
      } catch (error) {
        if (way !== this.way) continue;
        this.failed = true;
        this.save.disabled = true;
        this.note.textContent = error.message;
        if (!error.status) break; // nobody answers
      }
    }
    this.busy = false;
    this.images.tellBusy();
  }

  take(blob) {
    this.failed = false;
    this.blob = blob;
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(blob);
    this.show();
  }

  show() {
    this.image.src = this.url;
    this.image.hidden = false;
    this.save.disabled = this.failed;
  }

  /** Save the image of the map as it is now, which may still be on its way. */
  async saveImage() {
    await this.done;
    if (this.failed || !this.blob) complain(new Error(`this image was not saved: ${this.note.textContent || "it is not there"}`));
    else saveAs(this.blob, `${slug(`${this.model.title}-${this.model.detail}`)}.png`);
  }
}

class Images {
  constructor(state, bytes, keep) {
    this.bytes = bytes;
    this.keep = keep;
    this.cards = new Map();
    this.inputs = {};
    this.turns = {};
    this.size = state.size;
    this.models = [];
    this.all = state.models;
    const before = this.remembered();
    for (const model of state.models) this.add(model, before ? before.includes(model.key) : this.models.length < 4);
  }

  /** Say whether an image is still on its way. */
  tellBusy() {
    $("cards").setAttribute("aria-busy", String([...this.cards.values()].some(({ busy }) => busy)));
  }

  /** Which models a tab shows stays when it is loaded again. */
  remember() {
    try {
      sessionStorage.setItem(`${KEPT}: models`, JSON.stringify([...this.cards.keys()]));
    } catch {
      // no storage
    }
  }

  remembered() {
    try {
      const keys = JSON.parse(sessionStorage.getItem(`${KEPT}: models`) ?? "null");
      return Array.isArray(keys) && this.all.some(({ key }) => keys.includes(key)) ? keys : null;
    } catch {
      return null;
    }
  }

  /** Take in what the server says of the models: those that are gone go. */
  sync(models) {
    for (const { key } of [...this.models]) if (!models.some((model) => model.key === key)) this.remove(key);
  }

  add(model, shown) {
    this.models.push(model);
    this.toggle(model.key, shown);
  }

  toggle(key, shown) {
    const model = this.models.find((each) => each.key === key);
    if (!model) return;
    if (shown && !this.cards.has(key)) {
      const card = new Card(model, this);
      this.cards.set(key, card);
      card.refresh();
    } else if (!shown && this.cards.has(key)) this.cards.delete(key);
    this.arrange();
    this.remember();
  }

  /** A model has been kept in a file. */
  kept(key, file) {
    const model = this.models.find((each) => each.key === key);
    if (!model) return;
    Object.assign(model, { file, keepable: false });
    this.cards.get(key)?.again();
  }

  remove(key) {
    this.models = this.models.filter((each) => each.key !== key);
    this.cards.delete(key);
    this.arrange();
  }

  arrange() {
    const shown = this.models.map(({ key }) => this.cards.get(key)).filter(Boolean);
    for (const child of [...$("cards").children]) if (!shown.some(({ element }) => element === child)) child.remove();
    shown.forEach(({ element }, n) => {
      if ($("cards").children[n] !== element) $("cards").insertBefore(element, $("cards").children[n] ?? null);
    });
    $("cards").classList.toggle("single", shown.length === 1);
    $("cards").classList.toggle("many", shown.length > 4);
    $("chips").replaceChildren(...(this.models.length > 1 ? this.families() : []));
    $("images-note").textContent = shown.length ? "" : "no model is shown";
    this.inputsPanel(shown);
  }

  /** The models by their rows: as trained, and for each scene by their steps. */
  families() {
    const titles = [...new Set(this.models.map(({ title }) => title))];
    return titles.map((title) => {
      const of = this.models.filter((model) => model.title === title);
      const parts = of.filter(({ scene }) => scene === null).map((model) => this.chip(model, model.detail));
      for (const scene of new Set(of.map((model) => model.scene).filter((each) => each !== null))) {
        const some = of.filter((model) => model.scene === scene).sort((one, other) => one.steps - other.steps);
        parts.push(el("span", { className: "scene" }, `steps on ${scene}:`));
        parts.push(...some.map((model) => this.chip(model, String(model.steps))));
        const loose = some.filter(({ keepable }) => keepable);
        if (loose.length) {
          parts.push(el("button", {
            type: "button", className: "chip-close", title: "Take these off the page",
            "aria-label": `Take what ${title} has learned of ${scene} off the page`, onclick: () => this.removeAll(loose),
          }, "×"));
        }
      }
      return el("div", { className: "family" }, el("strong", {}, title), ...parts);
    });
  }

  chip(model, text) {
    return el("button", {
      type: "button", className: "chip", "aria-pressed": String(this.cards.has(model.key)), id: `chip-${model.key}`,
      "aria-label": `${model.title}, ${model.detail}`,
      onclick: () => {
        this.toggle(model.key, !this.cards.has(model.key));
        $(`chip-${model.key}`)?.focus();
      },
    }, text || "show");
  }

  async removeAll(models) {
    try {
      for (const model of models) {
        await askJson("/remove", { model: model.key });
        this.remove(model.key);
      }
    } catch (error) {
      complain(error);
    }
  }

  /** A place for each image that a shown model reads from a file. */
  inputsPanel(shown) {
    const names = [...new Set(shown.flatMap(({ way }) => way.files))];
    $("inputs").hidden = !names.length;
    $("inputs").replaceChildren(...names.map((name) => {
      const input = el("input", { type: "file", accept: "image/*", "aria-label": `The file for ${name}` });
      input.onchange = async () => {
        const last = (this.turns[name] ??= new Turn()).next();
        try {
          const { key } = await (await ask(`/files/${name}`, bodyOf([[input.files[0].name, input.files[0]]]))).json();
          if (!last()) return;
          this.inputs[name] = { key };
          this.arrange();
          this.refresh();
        } catch (error) {
          complain(error);
        }
      };
      const given = this.inputs[name];
      const image = given ? el("img", { src: `/files/${name}/${given.key}.png`, alt: `The ${name} as it is read`, className: "pixels" }) : "";
      return el("div", { className: "input" }, el("label", {}, `${name} `, input), image);
    }));
  }

  refresh() {
    for (const card of this.cards.values()) card.refresh();
  }
}
