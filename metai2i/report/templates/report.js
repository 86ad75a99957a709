// A click on an image shows it large; a click anywhere, or Escape, closes it again.
const viewer = document.getElementById("viewer");
const large = viewer.querySelector("img");
const words = viewer.querySelector("figcaption");
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.zoom");
  if (button) {
    const image = button.querySelector("img");
    large.src = image.src;
    large.alt = image.alt;
    large.className = image.className;
    words.textContent = button.title || image.alt;
    viewer.showModal();
  } else if (viewer.open) {
    viewer.close();
  }
});
