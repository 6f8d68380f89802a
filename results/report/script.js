const large = document.getElementById("large");
const zooms = [...document.querySelectorAll("button.zoom")];
let shown = 0;
function show(index) {
  shown = (index + zooms.length) % zooms.length;
  const small = zooms[shown].querySelector("img");
  large.querySelector("img").src = small.src;
  large.querySelector("img").alt = small.alt;
  large.querySelector("figcaption").textContent = small.alt;
}
zooms.forEach((zoom, index) => zoom.addEventListener("click", () => {
  show(index);
  large.showModal();
}));
large.querySelectorAll("[data-step]").forEach((button) =>
  button.addEventListener("click", () => show(shown + Number(button.dataset.step))));
large.querySelector("[data-close]").addEventListener("click", () => large.close());
large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
large.addEventListener("close", () => zooms[shown].focus());
large.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(shown + step);
});
