// A button that changes between light and dark; without it the page follows the system.
{
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  const keep = (theme) => { try { localStorage.setItem("metai2i-theme", theme); } catch { /* files may not keep */ } };
  let kept = null;
  try { kept = localStorage.getItem("metai2i-theme"); } catch { /* nor look up */ }
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep(root.dataset.theme);
    label();
  });
  system.addEventListener("change", label);
  label();
}
