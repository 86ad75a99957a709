// A click on an image shows it large. Another of its line can be laid over it: a border that is moved, or one after the
// other at one place. Arrows go to the neighbours (left, right) and to the same row's next image (up, down).
{
  const viewer = document.getElementById("viewer");
  const [under, over, words, other, border, flicker] = [".under", ".over", "figcaption", "#other", "#border", "#flicker"]
    .map((name) => viewer.querySelector(name));
  let shown = null;
  let timer = 0;

  const line = (button) => [...(button.closest("tr, .support, .exemplar-grids") ?? document.body).querySelectorAll(".zoom")];
  const image = (button) => button.querySelector("img");
  const name = (button) => button.dataset.of || image(button).alt;

  function put(place, button) {
    place.src = image(button).src;
    place.alt = image(button).alt;
    place.className = `${place === under ? "under" : "over"} ${image(button).className}`;
  }

  function choices() {
    const wanted = other.selectedOptions[0]?.textContent;
    other.replaceChildren(new Option("nothing", ""));
    line(shown).forEach((button, n) => { if (button !== shown) other.add(new Option(name(button), String(n))); });
    const again = [...other.options].find((option) => option.value && option.textContent === wanted);
    other.value = again ? again.value : "";
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    flicker.setAttribute("aria-pressed", "false");
    viewer.classList.remove("flickering", "off");
  }

  function pair() {
    const second = other.value === "" ? null : line(shown)[Number(other.value)];
    for (const part of viewer.querySelectorAll(".of-pair")) part.hidden = !second;
    over.hidden = !second;
    if (!second) { stop(); over.src = "data:,"; over.alt = ""; }
    else put(over, second);
    words.textContent = second ? `left: ${shown.title}; right: ${second.title}` : shown.title;
  }

  function show(button) {
    shown = button;
    put(under, button);
    choices();
    pair();
    if (!viewer.open) {
      viewer.showModal();
      viewer.querySelector("#after").focus(); // not the list, which arrow keys would change
    }
  }

  function step(by) {
    const buttons = line(shown);
    show(buttons[(buttons.indexOf(shown) + by + buttons.length) % buttons.length]);
  }

  /** The next image in the same column of the page, which cells over several lines shift within their row. */
  function down(by) {
    const cell = shown.closest("td, th");
    if (!cell) return;
    const left = cell.getBoundingClientRect().left;
    for (let row = cell.parentElement; row; ) {
      row = by > 0 ? row.nextElementSibling : row.previousElementSibling;
      const below = [...(row?.cells ?? [])].find((each) => Math.abs(each.getBoundingClientRect().left - left) < 1);
      const next = below?.querySelector(".zoom");
      if (next) { show(next); return; }
    }
  }

  function turn() {
    if (timer) { stop(); return; }
    flicker.setAttribute("aria-pressed", "true");
    viewer.classList.add("flickering");
    timer = setInterval(() => viewer.classList.toggle("off"), 700);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.zoom");
    if (button) show(button);
    else if (viewer.open && !event.target.closest("form")) viewer.close();
  });
  viewer.addEventListener("close", () => { stop(); shown?.focus({ preventScroll: true }); });
  viewer.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input")) return;
    const moves = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => down(-1), ArrowDown: () => down(1) };
    if (moves[event.key]) { event.preventDefault(); moves[event.key](); }
  });
  other.addEventListener("change", pair);
  border.addEventListener("input", () => over.style.setProperty("--border", `${border.value}%`));
  flicker.addEventListener("click", turn);
  viewer.querySelector("#before").addEventListener("click", () => step(-1));
  viewer.querySelector("#after").addEventListener("click", () => step(1));
}
