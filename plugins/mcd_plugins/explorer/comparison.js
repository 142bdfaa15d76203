// @ts-check
// Two runs side by side: layers, concepts, and neuron by neuron where they have the same ones.

const comparison = {
  chosen: [0, 1],
  filter: { text: "", layer: "", change: "" },
  measure: "significant",
  level: "concept",

  get runs() {
    return this.chosen.map((one) => RUNS[one]);
  },

  // By what was measured; where runs have no differences, the significant neurons of layers of the same name.
  layerRows() {
    const [a, b] = this.runs;
    const known = differences.rows(b, "layer").filter((row) => row.name === this.measure);
    if (known.length) return known.map((row, at) => ({ ...row, at }));
    const names = [...new Set([...a.layers, ...b.layers].map((one) => one.name))];
    return names.map((name, at) => {
      const sides = [a, b].map((run) => this.side(run, run.layers.findIndex((one) => one.name === name)));
      return { ...differences.counted(name, sides.map((one) => one.named), sides.map((one) => one.neurons)), name: "significant", at };
    });
  },

  side(run, layer) {
    const found = { neurons: layer < 0 ? 0 : run.layers[layer].neurons, named: 0 };
    for (let at = run.offsets[layer]; at < run.offsets[layer + 1]; at += 1) found.named += Number(run.named(at));
    return found;
  },

  conceptRows() {
    const [a, b] = this.runs;
    const holds = holding(this.filter.text);
    const known = differences.rows(b, this.level);
    if (known.length) return known.filter((row) => holds(row.name));
    return concepts
      .all()
      .filter((row) => holds(CONCEPTS.term[row.concept]) && this.chosen.some((at) => row.runs[at].named))
      .map((row) =>
        differences.counted(
          CONCEPTS.term[row.concept],
          this.chosen.map((at) => row.runs[at].named),
          [a.count, b.count],
        ),
      );
  },

  layerTable() {
    const z = this.measure === MEAN_Z;
    const first = { name: "name", title: "Layer", heads: true, value: (row) => row.at, cell: (row) => row.place };
    this.layersShown = new Table("Layers side by side", differences.columns(this.runs, [first], z), { sort: "difference" });
    this.layersShown.show(this.layerRows());
    return this.layersShown.element;
  },

  conceptTable() {
    const link = (name) => h("a", { href: `#neurons?${new URLSearchParams({ [this.level === "concept" ? "text" : this.level.split("_")[0]]: name })}` }, name);
    const first = {
      name: "name",
      title: { concept: "Concept", category: "Category", broad_category: "Broad category" }[this.level],
      heads: true,
      value: (row) => row.name,
      cell: (row) => link(row.name),
    };
    this.conceptsShown = new Table("Concepts side by side", differences.columns(this.runs, [first], false), {
      sort: "difference",
      perPage: 15,
      empty: () => (this.filter.text ? "No such concept labels a neuron of these runs: clear the search." : "No neuron of these runs has a significant first label."),
    });
    return this.conceptsShown.element;
  },

  update() {
    const rows = this.conceptRows();
    this.conceptsShown.show(rows);
    this.conceptsSaid.textContent = differences.headline(rows, this.runs, `the share of neurons by ${LEVELS[this.level]}`);
    this.counted.textContent = this.level === "concept" ? plural(rows.length, "concept") : `${count(rows.length)} ${rows.length === 1 ? "category" : "categories"}`;
    if (!this.neuronsShown) return;
    this.neuronsShown.show(this.neuronRows());
    this.counted.textContent += `, ${plural(this.neuronsShown.rows.length, "neuron")}`;
  },

  cautions() {
    const [low, high] = this.chosen;
    const found = CONTENT.between.find(([a, b]) => a === low && b === high)?.[2] ?? [];
    const [a, b] = this.runs;
    const none = this.runs.every((run) => !run.verdict.some((_, at) => run.named(at)))
      ? [`There is nothing to compare: no neuron of ${a.letter} or ${b.letter} has a significant first label.`]
      : [];
    const few = this.runs
      .filter((run) => run.n < CONTENT.few)
      .map((run) => `${run.letter} has only ${run.n} images: differences of a few neurons are noise.`);
    const { unit, notes = [], missing } = differences.table;
    const bounded = unit
      ? `In brackets: 95 % intervals over ${unit === "patients" ? unit : `${unit}, since patients are not known`}. ${CONTENT.chance.with}.`
      : `${CONTENT.chance.without}.`;
    return h(
      "div",
      { class: found.length || few.length || missing ? "callout" : null },
      h(
        "ul",
        { class: "cautions" },
        [...none, ...found, ...few, ...(missing ? [missing] : [...notes, bounded])].map((one) => h("li", {}, one)),
      ),
    );
  },

  // The first run is what others are compared with, as for mcd compare.
  pick() {
    const options = RUNS.slice(1).map((run) => [String(run.number), run.name]);
    return [
      h("p", { class: "reference" }, "Compared with ", h("strong", {}, RUNS[0].name), ", the first run."),
      labelled(
        "Second",
        choice("r-1", options, String(this.chosen[1]), (value) => {
          this.chosen[1] = Number(value);
          this.open();
          document.getElementById("r-1").focus();
        }),
        { kind: "run-choice", term: "run" },
      ),
    ];
  },

  button(text, save) {
    return h("p", {}, h("button", { type: "button", class: "plain", onclick: save }, text));
  },

  // A choice that draws the view anew; what is chosen is explained beside it.
  drawn(id, title, options, chosen, change) {
    const again = (value) => {
      change(value);
      this.open();
      document.getElementById(id).focus();
    };
    return labelled(title, choice(id, options, chosen, again), { term: options.find(([one]) => one === chosen)[1] });
  },

  layerSection() {
    const measured = !differences.table.missing;
    const z = this.measure === MEAN_Z;
    const table = this.layerTable();
    const what = z ? "mean z of first concepts" : `the share of ${this.measure} neurons by layer`;
    return h(
      "section",
      {},
      h("h2", {}, "Layers"),
      measured &&
        this.drawn("r-measure", "Measure", MEASURES.map((one) => [one, one]), this.measure, (value) => {
          this.measure = value;
        }),
      h("p", { class: "headline" }, differences.headline(this.layersShown.rows, this.runs, what, z)),
      table,
      this.button("Download layers as CSV", () => differences.save("layers", this.layersShown, this.runs, "layer", this.measure)),
    );
  },

  conceptSection() {
    this.conceptsSaid = h("p", { class: "headline", role: "status" });
    return h(
      "section",
      {},
      h("h2", {}, "Concepts"),
      this.conceptsSaid,
      this.conceptTable(),
      this.button("Download concepts as CSV", () => differences.save("concepts", this.conceptsShown, this.runs, this.level)),
    );
  },

  search() {
    const text = h("input", {
      id: "r-text",
      type: "search",
      value: this.filter.text,
      list: "known-r",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => {
        this.filter.text = text.value;
        this.update();
      },
    });
    return h(
      "form",
      { class: "filters", role: "search", "aria-label": "Search both runs", onsubmit: (event) => event.preventDefault() },
      labelled("Which neurons see …", text, { kind: "grow" }),
      conceptOptions("known-r"),
      !differences.table.missing &&
        this.drawn("r-level", "Level", Object.entries(LEVELS), this.level, (value) => {
          this.level = value;
        }),
      this.counted,
    );
  },

  open() {
    this.neuronsShown = null;
    this.counted = h("p", { class: "counted", role: "status", "aria-live": "polite" });
    if (differences.table.missing) [this.measure, this.level] = ["significant", "concept"];
    document
      .getElementById("compare")
      .replaceChildren(
        h("h1", { id: "compare-title", tabindex: "-1" }, "Compare"),
        h("div", { class: "filters" }, this.pick()),
        this.cautions(),
        this.layerSection(),
        this.search(),
        this.conceptSection(),
        this.neuronSection(),
      );
    this.update();
    return "Compare";
  },
};
