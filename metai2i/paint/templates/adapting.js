// Adapting: a support, rows and numbers of steps, and what they make of the support.

const RETRIES = 30;
const RETRY_AFTER = 1000; // milliseconds

class Adapting {
  constructor(state, images) {
    this.images = images;
    this.rows = state.rows;
    this.support = null;
    this.job = null;
    this.supports = new Turn();
    $("adapt-none").hidden = state.rows.length > 0;
    $("adapt-form").hidden = !state.rows.length;
    $("keep-folder").textContent = `In the folder ${state.out}`;
    if (!state.rows.length) return;
    this._form(state);
    this._drop();
    if (state.job) this.follow(state.job);
  }

  _form(state) {
    if (state.unpaired) {
      $("support-title").textContent = "Photographs of a domain";
      $("support-invitation").textContent = "Drop a few photographs of the new domain here";
      $("support-layouts").textContent = "NAME.jpg alone; or a folder with reference/ and inputs in source/";
    }
    const noun = state.unpaired ? "sample" : "pair";
    const chosen = state.rows.filter((row) => row.chosen);
    for (const row of state.rows) {
      const box = el("input", { type: "checkbox", value: row.key, checked: row.chosen, id: `row-${row.key}` });
      const how = el("span", { className: "caption" }, `${row.strategy}, ${row.iterations} steps at ${row.lr}`);
      $("rows").append(el("label", {}, box, el("span", {}, row.title, " ", how)));
    }
    const last = Math.max(...(chosen.length ? chosen : state.rows).map(({ iterations }) => iterations), 1);
    $("steps").value = [0, 1, 2, 5, 10, 20, 50, 100].filter((n) => n < last).slice(-4).concat(last).join(", ");
    const scenes = state.scenes.map((scene, n) => [scene, n]).filter(([{ pairs }]) => pairs);
    $("scene-line").hidden = !scenes.length;
    $("scene").replaceChildren(el("option", { value: "" }, "choose …"),
      ...scenes.map(([{ title, pairs }, n]) => el("option", { value: n }, `${title}, ${pairs} ${noun}${pairs === 1 ? "" : "s"}`)));
    $("scene").onchange = () => $("scene").value !== "" && this.take(`/scenes/${$("scene").value}`, new Blob());
    $("start").onclick = () => this.start();
    $("stop").onclick = () => ask(`/jobs/${this.job}/stop`, new Blob()).catch(complain);
    $("rows").onchange = () => this._ready();
  }

  _drop() {
    const drop = $("drop");
    $("choose-support").onclick = () => chooseFiles($("support-files"), (files) => this.takeFiles(files.map((file) => [file.name, file])));
    for (const name of ["dragenter", "dragover"]) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", async (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      try {
        await this.takeFiles(await droppedFiles(event.dataTransfer));
      } catch (error) {
        complain(error);
      }
    });
  }

  async takeFiles(files) {
    $("scene").value = "";
    if (files.length) await this.take("/supports", bodyOf(files));
  }

  /** Hand a support over; what it lacks is told beside it. */
  async take(address, body) {
    const row = this.rows.find(({ key }) => $(`row-${key}`).checked) ?? this.rows[0];
    const last = this.supports.next();
    this.support = null;
    this._ready();
    $("support").replaceChildren(el("p", { className: "caption" }, "reading …"));
    try {
      const support = await (await ask(`${address}?row=${row.key}`, body)).json();
      if (!last()) return;
      this.support = support;
    } catch (error) {
      if (!last()) return;
      $("support").replaceChildren(el("p", { className: "bad" }, error.message));
      this._ready();
      return;
    }
    const { key, names, shown, target, maps } = this.support;
    const columns = Array.from({ length: shown }, (_, n) => el("figure", {},
      maps ? el("img", { src: `/supports/${key}/map/${n}.png`, alt: `Label map of ${names[n]}`, className: "pixels" }) : "",
      target ? el("img", { src: `/supports/${key}/photo/${n}.png`, alt: `Photograph ${names[n]}`, className: "pixels" }) : ""));
    const what = target && maps ? ["pair", "pairs"] : ["sample", "samples"];
    $("support").replaceChildren(
      el("p", { className: "caption" }, `${names.length} ${what[names.length === 1 ? 0 : 1]}, as the models read them`),
      el("div", { className: "thumbs" }, ...columns));
    this._ready();
  }

  _ready() {
    const rows = this.rows.some(({ key }) => $(`row-${key}`).checked);
    $("start").disabled = !this.support || !rows || this.running;
    $("start-note").textContent = this.running ? "" : !this.support ? "Choose photographs or a test scene first." : rows ? "" : "Choose a row.";
  }

  async start() {
    const words = $("steps").value.split(/[\s,;]+/).filter(Boolean);
    const rate = $("rate").value.trim();
    const wish = {
      support: this.support.key,
      rows: this.rows.map(({ key }) => key).filter((key) => $(`row-${key}`).checked),
      steps: words.map((word) => (/^\d{1,9}$/.test(word) ? Number(word) : word)),
      lr: rate === "" ? null : Number.isFinite(Number(rate)) ? Number(rate) : rate,
    };
    this.running = true; // from the click on, so that a second one asks for nothing
    this._ready();
    try {
      const { job } = await askJson("/jobs", wish);
      say("adapting has begun");
      await this.follow(job);
    } catch (error) {
      complain(error);
    }
    this.running = false;
    this._ready();
  }

  /** Show a job until it has ended, also over a while in which nobody answers. */
  async follow(key) {
    this.job = key;
    this.running = true;
    this.seen = 0;
    this.last = new Map();
    $("rounds").replaceChildren();
    $("progress-block").hidden = false;
    $("stop").hidden = false;
    this._ready();
    let job = null;
    for (let left = RETRIES; ; ) {
      try {
        const news = await (await ask(`/jobs/${key}`)).json();
        await this._update(news);
        job = news;
        if (left < RETRIES) $("alert").hidden = true;
        left = RETRIES;
        if (job.state !== "running") break;
      } catch (error) {
        complain(error);
        left = error.status ? 0 : left - 1; // what is refused once is refused again
        if (!left) break;
      }
      await new Promise((resolve) => setTimeout(resolve, left < RETRIES ? RETRY_AFTER : 250));
    }
    this.running = false;
    $("stop").hidden = true;
    $("start").textContent = "Adapt again";
    if (job?.error) complain(new Error(job.error));
    say(job?.state === "done" ? "adapting is done" : "adapting has ended");
    this._ready();
  }

  async _update(job) {
    if (job.rounds.length > this.seen) await this._lines(job);
    // Only now: who reads that it is done finds the images of the last step here.
    const ahead = job.seconds_for_step ? (job.total - job.done) * job.seconds_for_step : null;
    $("progress").max = job.total;
    $("progress").value = job.state === "done" ? job.total : job.done;
    const left = ahead === null ? "" : `, about ${Math.max(1, Math.round(ahead))} s left`;
    const words = { running: `${job.done} of ${job.total} steps${left}`, done: `done, ${job.total} steps`, stopped: "stopped", failed: "failed" };
    $("progress-text").textContent = words[job.state];
  }

  /** Show what was made since the last look, in the tables and among the models. */
  async _lines(job) {
    const { models } = await (await ask("/state")).json();
    this.images.sync(models);
    for (; this.seen < job.rounds.length; this.seen++) {
      const round = job.rounds[this.seen];
      const model = models.find(({ key }) => key === round.model);
      if (model && !this.images.models.some(({ key }) => key === model.key)) {
        // The newest of a row is shown with the map, and takes the place of the one before it.
        const before = this.last.get(round.row);
        const known = this.images.models.some(({ title, scene, key }) => title === round.row && scene === null && this.images.cards.has(key));
        if (before) this.images.toggle(before, false);
        this.images.add(model, round.steps > 0 || !known);
        this.last.set(round.row, model.key);
      }
      this._line(job, round, this.seen, model);
    }
  }

  /** A line of the table of a row: the images of the support after so many steps. */
  _line(job, round, number, model) {
    const id = `rounds-${job.rows.indexOf(round.row)}`;
    const shown = job.names.length;
    if (!$(id)) {
      const photographs = job.photos ? el("tr", {}, el("th", { scope: "row" }, "photographs"),
        ...Array.from({ length: shown }, (_, n) => el("td", {}, this._thumb(`/supports/${job.support}/photo/${n}.png`, `Photograph ${job.names[n]}`))), el("td")) : "";
      $("rounds").append(el("section", { className: "round" }, el("h3", {}, round.row),
        el("div", { className: "scroll" }, el("table", {}, el("tbody", { id }, photographs)))));
    }
    const steps = `${round.steps} ${round.steps === 1 ? "step" : "steps"}`;
    const off = round.off_by === null ? "" : el("span", { className: "caption" }, `off by ${round.off_by.toFixed(1)}`);
    const keep = model?.keepable ? el("button", { type: "button", onclick: () => this.images.keep(model), "aria-label": `Keep the model ${round.row} after ${steps}` }, "Keep …") : "";
    $(id).append(el("tr", {}, el("th", { scope: "row" }, steps, off),
      ...Array.from({ length: shown }, (_, n) => el("td", {}, this._thumb(`/jobs/${this.job}/${number}/${n}.png`, `${job.names[n]} by ${round.row} after ${steps}`))),
      el("td", {}, keep)));
  }

  _thumb(src, alt) {
    return el("img", { src, alt, className: "pixels" });
  }
}

/** The files that were dropped, with the folder that they lie in where there is one. */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => [file.name, file]);
  const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));
  const inside = async (folder) => {
    const reader = folder.createReader();
    const all = [];
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return all.filter(({ name }) => !name.startsWith("."));
      all.push(...some);
    }
  };
  const files = [];
  // A folder that is dropped alone is the support itself; of several, each is one of its folders.
  const top = entries.length === 1 && entries[0].isDirectory ? await inside(entries[0]) : entries;
  for (const entry of top) {
    if (entry.isFile) files.push([entry.name, await fileOf(entry)]);
    else for (const each of await inside(entry)) if (each.isFile) files.push([`${entry.name}/${each.name}`, await fileOf(each)]);
  }
  return files;
}
