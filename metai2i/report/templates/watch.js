// Every two seconds: what has changed is put in the place of what stood there, and nothing else moves.
const state = document.getElementById("state");
const lost = document.getElementById("lost");
const known = new Map([...state.children].map((part) => [part.id, part.outerHTML]));
function show(text) {
  const fresh = document.createElement("template");
  fresh.innerHTML = text;
  const ids = new Set([...fresh.content.children].map((part) => part.id));
  [...state.children].filter((part) => !ids.has(part.id)).forEach((part) => { known.delete(part.id); part.remove(); });
  let before = null;
  for (const part of [...fresh.content.children]) {
    const there = document.getElementById(part.id);
    if (known.get(part.id) !== part.outerHTML) {
      known.set(part.id, part.outerHTML);
      if (there) there.replaceWith(part);
      else if (before) before.after(part);
      else state.prepend(part);
      before = part;
    } else {
      before = there;
    }
  }
  document.title = document.getElementById("top").dataset.title;
}
async function refresh() {
  let text = null;
  try {
    const answer = await fetch("state", { cache: "no-store", signal: AbortSignal.timeout(10000) });
    text = answer.ok ? await answer.text() : null;
    lost.hidden = answer.ok;
  } catch {
    lost.hidden = false;
  }
  setTimeout(refresh, document.hidden ? 15000 : 2000);
  if (text !== null) show(text);
}
setTimeout(refresh, 2000);
