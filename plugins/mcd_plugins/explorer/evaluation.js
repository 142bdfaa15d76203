// @ts-check
// How right labels are: of one neuron, where the run was evaluated.

class Evaluation {
  // What judged.py writes; columns are unpacked when a neuron is shown.
  /** @type {string} */ missing;

  constructor(content) {
    this.missing = content.missing;
    if (this.missing) return;
    const columns = (table, names) =>
      table && later(() => ({ ...table, ...Object.fromEntries(names.map((name) => [name, unpacked(table[name])])) }));
    this.stability = columns(content.stability, ["share", "coverage", "set"]);
    this.geometry = columns(content.geometry, ["clarity", "redundancy", "polysemanticity", "nearest"]);
    this.terms = content.terms;
    this.concepts = later(() => content.concepts.map(unpacked));
    this.measures = later(() => content.measures.map(([against, name, values]) => [against, name, values.map(unpacked)]));
  }

  // In how many resamples of the patients the label of a neuron comes back; NaN where that is not known.
  share(neuron) {
    return this.stability ? this.stability().share[neuron] : NaN;
  }

  // Which of the two concepts, the first or the runner-up, was judged of a neuron.
  concept(neuron, which) {
    return this.terms[this.concepts()[which][neuron]];
  }

  section(run, neuron) {
    return h("section", { class: "judged" }, h("h2", {}, "Evaluation"), this.shown(run, neuron));
  }

  shown(run, neuron) {
    if (this.missing) return h("p", { class: "hint" }, this.missing);
    const known = this.measures().filter(([, , values]) => values.some((one) => Number.isFinite(one[neuron])));
    const found = [
      known.length ? this.named(run, neuron) : "",
      known.length ? this.table(neuron, known) : "",
      this.returning(neuron),
      this.images(run, neuron),
    ].filter(Boolean);
    return found.length ? found : h("p", { class: "hint" }, "This neuron was not judged.");
  }

  // A row a measure, a pair of columns for each thing that labels were held against.
  table(neuron, known) {
    const judges = [...new Set(known.map(([against]) => against))];
    const names = [...new Set(known.map(([, name]) => name))];
    const at = (against, name) => known.find((one) => one[0] === against && one[1] === name);
    const number = (values) => h("td", { class: "number" }, values ? decimal(values[neuron]) : "–");
    return h(
      "div",
      { class: "scroll", role: "region", tabindex: "0", "aria-label": "Measures of this neuron's label" },
      h(
        "table",
        {},
        h("caption", { class: "hidden" }, "How right the label of this neuron is, beside its runner-up"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col", rowspan: "2" }, term("Measure")),
            judges.map((one) => h("th", { scope: "colgroup", colspan: "2", class: "number" }, term(`against ${one}`))),
          ),
          h(
            "tr",
            {},
            judges.map(() => ["First", "Runner-up"].map((one) => h("th", { scope: "col", class: "number" }, term(one)))),
          ),
        ),
        h(
          "tbody",
          {},
          names.map((name) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, term(name)),
              judges.map((one) => [0, 1].map((which) => number(at(one, name)?.[2][which]))),
            ),
          ),
        ),
      ),
    );
  }

  // Half of the patients name what is judged: that may be another concept than all of them name.
  named(run, neuron) {
    const [first, second] = [0, 1].map((which) => this.concept(neuron, which));
    const best = run.best(neuron);
    return h(
      "p",
      {},
      first ? ["First: ", h("strong", {}, first), ". "] : "",
      second ? `Runner-up: ${second}. ` : "",
      first && best >= 0 && first !== run.term(best)
        ? `Half of the patients name it so and the other half judges; all of them name it ${run.term(best)}. `
        : "",
      h("span", { class: "hint" }, "One neuron has no intervals: compare with the means of the overview."),
    );
  }

  returning(neuron) {
    if (!Number.isFinite(this.share(neuron))) return null;
    const { coverage, set, sets } = this.stability();
    return h(
      "p",
      {},
      "Its label comes first in ",
      h("strong", {}, percent(this.share(neuron))),
      " of resamples of the patients. In ",
      percent(coverage[neuron]),
      " of them one of these does: ",
      h("em", {}, sets[set[neuron]]),
      ".",
    );
  }

  images(run, neuron) {
    if (!this.geometry) return null;
    const { clarity, redundancy, polysemanticity, nearest } = this.geometry();
    if (!Number.isFinite(clarity[neuron])) return null;
    const similar = nearest[neuron] ? run.offsets[run.layerOf[neuron]] + nearest[neuron] - 1 : -1;
    const pairs = [
      ["Clarity", decimal(clarity[neuron])],
      ["Polysemanticity", decimal(polysemanticity[neuron])],
      ["Redundancy", decimal(redundancy[neuron])],
    ];
    return h(
      "dl",
      { class: "rungs" },
      pairs.map(([name, value]) => h("div", {}, h("dt", {}, term(name)), h("dd", {}, value))),
      similar >= 0
        ? h(
            "div",
            {},
            h("dt", {}, term("Most similar")),
            h("dd", {}, h("a", { href: run.address(similar) }, `neuron ${run.place(similar)}`)),
          )
        : "",
    );
  }
}

const percent = (value) => (Number.isFinite(value) ? `${Math.round(100 * value)}%` : "–");
