// The page: what there is, how its parts are put together, and what stays when it is loaded again.

function canPaint() {
  try {
    return Boolean(document.createElement("canvas").getContext("2d"));
  } catch {
    return false;
  }
}

/** The map of this tab stays when the tab is loaded again. */
function remember(painter) {
  const { map } = painter;
  const text = btoa(Array.from(map.bytes(), (byte) => String.fromCharCode(byte)).join(""));
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ size: [map.height, map.width], classes: painter.classes.length, map: text }));
  } catch {
    // a map too large for it, or no storage
  }
}

function remembered(painter) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    const { map } = painter;
    if (!kept || kept.size[0] !== map.height || kept.size[1] !== map.width || kept.classes !== painter.classes.length) return null;
    const ids = map.idsOf(Uint8Array.from(atob(kept.map), (letter) => letter.charCodeAt(0)).buffer);
    return ids.length === map.ids.length && ids.every((id) => id < kept.classes) ? ids : null;
  } catch {
    return null;
  }
}

function keepDialog(images) {
  let wanted = null;
  const dialog = $("keep-dialog");
  $("keep-cancel").onclick = () => dialog.close();
  dialog.onclose = () => (wanted = null);
  $("keep-form").onsubmit = async (event) => {
    event.preventDefault();
    const model = wanted; // the dialog may be open for another one when the answer comes
    $("keep-do").disabled = true;
    $("keep-error").textContent = "";
    try {
      const { file } = await askJson("/keep", { model: model.key, name: $("keep-name").value });
      images().kept(model.key, file);
      if (wanted === model) dialog.close();
      note(`Kept in ${file}`, `metai2i translate ${/\s/.test(file) ? `'${file}'` : file} MAPS OUT`);
    } catch (error) {
      if (wanted === model) $("keep-error").textContent = error.message;
      else complain(error);
    }
    $("keep-do").disabled = false;
  };
  return (model) => {
    wanted = model;
    $("keep-error").textContent = "";
    $("keep-name").value = slug(model.scene).replace(/-+$/, "");
    dialog.showModal();
    $("keep-name").select();
  };
}

/** A note at the foot of the page that goes by itself. */
function note(text, command) {
  const line = el("div", { className: "note", role: "status" }, text, command ? el("code", {}, command) : "");
  document.body.append(line);
  setTimeout(() => line.remove(), 12000);
}

/** Returns what puts a map of the server in the place of the one that is painted. */
function loading(painter) {
  const turn = new Turn();
  return async (title, ...asked) => {
    const last = turn.next();
    try {
      const ids = painter.map.idsOf(await (await ask(...asked)).arrayBuffer());
      if (last()) painter.load(ids, title);
    } catch (error) {
      complain(error);
    }
  };
}

function shelf(state, load) {
  $("shelf-block").hidden = !state.maps.length;
  $("shelf").replaceChildren(...state.maps.map((title, n) => el("button", {
    type: "button", title, "aria-label": `Begin with the map ${title}`, onclick: () => load(title, `/maps/${n}`),
  }, el("img", { src: `/maps/${n}.png`, alt: "", className: "pixels", loading: "lazy" }))));
}

function mapFiles(load, images) {
  const open = (file) => load(`opened ${file.name}`, "/maps", bodyOf([[file.name, file]]));
  $("load-map").onclick = () => chooseFiles($("map-file"), ([file]) => open(file));
  $("painter").addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  });
  const save = (address, name) => async () => {
    try {
      saveAs(await (await ask(address, images().bytes())).blob(), name);
    } catch (error) {
      complain(error);
    }
  };
  $("save-map").onclick = save("/map.png", "map.png");
  $("save-instances").onclick = save("/instances.png", "instances.png");
}

async function open() {
  const state = await (await ask("/state")).json();
  const size = `${state.size[0]}×${state.size[1]} pixels`;
  const facts = [size, state.classes.length ? `${state.classes.length} classes` : "", `metai2i ${state.version}`];
  $("facts").textContent = facts.filter(Boolean).join(" · ");
  $("main").hidden = false;
  const ways = state.models.flatMap((model) => model.ways);
  const paints = state.classes.length > 0 && ways.some(({ painted }) => painted.includes("structure"));
  $("painter").hidden = !paints;
  $("workspace").classList.toggle("files-only", !paints);
  let images = null;
  let painter = null;
  let soon = 0;
  if (paints) {
    painter = new Painter(state, () => {
      images?.refresh();
      clearTimeout(soon);
      soon = setTimeout(() => remember(painter), 200);
    });
    const kept = remembered(painter);
    if (kept) painter.map.ids = kept;
    else if (state.maps.length) painter.map.ids = painter.map.idsOf(await (await ask("/maps/0")).arrayBuffer());
    painter.draw();
    painter.choose(0);
  }
  images = new Images(state, () => (painter ? painter.map.bytes() : new Uint8Array()), keepDialog(() => images));
  if (painter) {
    const load = loading(painter);
    shelf(state, load);
    mapFiles(load, () => images);
    $("save-instances").hidden = !ways.some(({ painted }) => painted.includes("instances"));
    window.addEventListener("pagehide", () => remember(painter));
  }
  new Adapting(state, images);
}

// A file that is dropped beside its place must not make the browser leave the page for it.
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
$("alert-close").onclick = () => ($("alert").hidden = true);
$("show-keys").onclick = () => $("keys-dialog").showModal();
$("keys-close").onclick = () => $("keys-dialog").close();
if (canPaint()) open().catch(complain);
else {
  $("facts").textContent = "";
  complain(new Error("This browser has no canvas to paint on. Another browser has, or `metai2i translate` makes images of maps without one."));
}
