// @ts-check
// Which view is shown: the address says it.

const VIEWS = {
  overview: () => "Overview",
  neurons: (query) => neurons.open(query),
  neuron: (path) => neuronPage.open(path),
  concepts: (query) => concepts.open(query),
  ...(SEVERAL ? { compare: () => comparison.open() } : {}),
  glossary: (key) => explanations.open(key),
};
const TITLE = document.title;

function route(moved) {
  const [, name, rest] = /^#([a-z]+)(?:[/?](.*))?$/.exec(location.hash) ?? [];
  const view = Object.hasOwn(VIEWS, name ?? "") ? name : "overview";
  document.title = `${VIEWS[view](rest ?? "")} – ${TITLE}`;
  for (const one of ["overview", "neurons", "neuron", "concepts", "compare", "glossary"])
    document.getElementById(one).hidden = one !== view;
  for (const link of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-view]"))) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (moved) {
    window.scrollTo(0, 0);
    document.getElementById(`${view}-title`).focus({ preventScroll: true });
  }
}

for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-download]"))) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const table = /** @type {HTMLTableElement} */ (document.querySelector(`table[data-csv="${CSS.escape(button.dataset.download)}"]`));
    const cells = (row) =>
      [...row.cells]
        .filter((one) => !one.classList.contains("bars"))
        .map((one) =>
          "value" in one.dataset ? Number(one.dataset.value) : one.textContent.trim().replaceAll("\u00ad", ""),
        );
    const [head, ...rows] = [...table.rows].map(cells);
    download(button.dataset.download, head, rows);
  });
}

for (const link of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-more]"))) link.hidden = false;
window.addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll(".first details")) one.setAttribute("open", "");
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
explanations.listen();
window.addEventListener("hashchange", () => {
  viewer.close();
  route(true);
});
// The small copies of images stand behind this script: a neuron's page waits for them, the rest does not.
if (location.hash.startsWith("#neuron/")) document.addEventListener("DOMContentLoaded", () => route(false));
else route(false);
