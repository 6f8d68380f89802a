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

const PAGE_ROWS = 100;
function pager(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length <= PAGE_ROWS) return;
  const bar = document.createElement("div");
  bar.className = "pager";
  bar.innerHTML = "<button type=button>Previous</button><span aria-live=polite></span>" +
    "<button type=button>Next</button>";
  const [before, after] = bar.querySelectorAll("button");
  let first = 0;
  const turn = (to) => {
    first = to;
    const end = Math.min(first + PAGE_ROWS, rows.length);
    rows.forEach((row, index) => { row.hidden = index < first || index >= end; });
    bar.querySelector("span").textContent = `${first + 1} to ${end} of ${rows.length}`;
    before.disabled = first === 0;
    after.disabled = end === rows.length;
  };
  before.addEventListener("click", () => turn(first - PAGE_ROWS));
  after.addEventListener("click", () => turn(first + PAGE_ROWS));
  turn(0);
  table.closest(".scroll").after(bar);
}
document.querySelectorAll(".scroll > table").forEach(pager);
