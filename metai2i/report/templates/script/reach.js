// What cannot be reached otherwise: parts that are folded up open when a link leads there, and what scrolls sideways
// takes the keyboard's arrows.
{
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let part = target?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    if (target?.closest("details")) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  const heading = (part) => part.closest("article, section")?.querySelector("h3, h2")?.textContent.trim() ?? "";
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const scrolls = target.scrollWidth > target.clientWidth;
      target.toggleAttribute("tabindex", false);
      target.removeAttribute("role");
      if (!scrolls) continue;
      target.tabIndex = 0;
      target.setAttribute("role", "group");
      target.setAttribute("aria-label", `${heading(target)}, scrolls sideways`);
    }
  });
  for (const part of document.querySelectorAll(".scroll")) watch.observe(part);
}
