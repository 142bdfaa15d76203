// @ts-check
// Two runs side by side: layers, concepts, and neuron by neuron where they have the same ones.

const comparison = {
  chosen: [0, 1],
  filter: { text: "", layer: "", change: "" },

  get runs() {
    return this.chosen.map((one) => RUNS[one]);
  },

  // The layers of two runs by name; where no name is shared, those of the first, then those of the second.
  layers() {
    const [a, b] = this.runs;
    const names = [...new Set([...a.layers, ...b.layers].map((one) => one.name))];
    return names.map((name) => ({
      name,
      sides: [a, b].map((run) =>
        this.side(
          run,
          run.layers.findIndex((one) => one.name === name),
        ),
      ),
    }));
  },

  side(run, layer) {
    if (layer < 0) return null;
    const found = { neurons: run.layers[layer].neurons, named: 0, mammographic: 0 };
    for (let at = run.offsets[layer]; at < run.offsets[layer + 1]; at += 1) {
      if (!run.named(at)) continue;
      found.named += 1;
      if (run.verdicts[run.verdict[at]] !== "not mammographic") found.mammographic += 1;
    }
    return found;
  },

  layerTable() {
    const word = this.runs.every((run) => run.judged) ? "significant" : "labelled";
    const table = new Table(
      "Layers side by side",
      [
        { name: "name", title: "Layer", heads: true, value: (row) => row.at, cell: (row) => row.name },
        ...this.runs.flatMap((run, side) => [
          {
            name: `n${side}`,
            title: `${run.letter}: neurons`,
            term: "neurons",
            number: true,
            narrow: false,
            value: (row) => row.sides[side]?.neurons,
            cell: (row) => (row.sides[side] ? count(row.sides[side].neurons) : "–"),
          },
          {
            name: `named${side}`,
            title: `${run.letter}: ${word}`,
            term: word,
            number: true,
            value: (row) => (row.sides[side] ? row.sides[side].named / row.sides[side].neurons : NaN),
            cell: (row) =>
              row.sides[side]
                ? `${count(row.sides[side].named)} (${share(row.sides[side].named, row.sides[side].neurons)})`
                : "–",
          },
          {
            name: `mammo${side}`,
            title: `${run.letter}: of them mammographic`,
            term: "mammographic",
            number: true,
            narrow: false,
            value: (row) => (row.sides[side] ? row.sides[side].mammographic / row.sides[side].neurons : NaN),
            cell: (row) =>
              row.sides[side]
                ? `${count(row.sides[side].mammographic)} (${share(row.sides[side].mammographic, row.sides[side].neurons)})`
                : "–",
          },
        ]),
        {
          name: "difference",
          title: "Difference",
          number: true,
          value: (row) => this.points(row.sides),
          cell: (row) => this.signed(this.points(row.sides)),
        },
      ],
      { sort: "name", descending: false },
    );
    table.show(this.layers().map((row, at) => ({ ...row, at })));
    this.layersShown = table;
    return table.element;
  },

  points([a, b]) {
    return a && b ? 100 * (b.named / b.neurons - a.named / a.neurons) : NaN;
  },

  signed(value, digits = 0) {
    return Number.isFinite(value) ? `${value > 0 ? "+" : ""}${decimal(value, digits)}` : "–";
  },

  conceptRows() {
    const fits = matching(this.filter.text);
    const [a, b] = this.chosen;
    const share_ = (row, at) => (100 * row.runs[at].named) / RUNS[at].count;
    return concepts
      .all()
      .filter((row) => fits[row.concept] && (row.runs[a].kept || row.runs[b].kept))
      .map((row) => ({ ...row, difference: share_(row, b) - share_(row, a) }));
  },

  conceptTable() {
    const side = (at) => ({
      name: `named${at}`,
      title: `${RUNS[at].letter}: neurons`,
      term: "significant",
      number: true,
      value: (row) => row.runs[at].named,
      cell: (row) => `${count(row.runs[at].named)} (${decimal((100 * row.runs[at].named) / RUNS[at].count, 1)}%)`,
    });
    const kept = (at) => ({
      name: `kept${at}`,
      title: `${RUNS[at].letter}: kept`,
      term: "kept",
      number: true,
      narrow: false,
      value: (row) => row.runs[at].kept,
      cell: (row) => count(row.runs[at].kept),
    });
    this.conceptsShown = new Table(
      "Concepts side by side",
      [
        ...conceptColumns(),
        ...this.chosen.flatMap((at) => [side(at), kept(at)]),
        {
          name: "difference",
          title: "Difference",
          number: true,
          value: (row) => Math.abs(row.difference),
          cell: (row) => this.signed(row.difference, 1),
        },
      ],
      { sort: "difference", perPage: 15 },
    );
    return this.conceptsShown.element;
  },

  update() {
    this.conceptsShown.show(this.conceptRows());
    this.counted.textContent = plural(this.conceptsShown.rows.length, "concept");
    if (!this.neuronsShown) return;
    this.neuronsShown.show(this.neuronRows());
    this.counted.textContent += `, ${plural(this.neuronsShown.rows.length, "neuron")}`;
  },

  saveLayers() {
    const header = [
      "layer",
      ...this.runs.flatMap((run) => ["neurons", "named", "mammographic"].map((one) => `${run.letter}_${one}`)),
    ];
    download(
      "compared-layers",
      header,
      this.layersShown.rows.map((row) => [
        row.name,
        ...row.sides.flatMap((one) => [one?.neurons, one?.named, one?.mammographic]),
      ]),
    );
  },

  saveConcepts() {
    const header = [
      "concept",
      "category",
      "broad_category",
      ...this.runs.flatMap((run) => [`${run.letter}_named`, `${run.letter}_kept`]),
      "difference_points",
    ];
    download(
      "compared-concepts",
      header,
      this.conceptsShown.rows.map((row) => [
        CONCEPTS.term[row.concept],
        CONCEPTS.category[row.concept],
        CONCEPTS.broad_category[row.concept],
        ...this.chosen.flatMap((at) => [row.runs[at].named, row.runs[at].kept]),
        row.difference,
      ]),
    );
  },

  cautions() {
    const [low, high] = [...this.chosen].sort((x, y) => x - y);
    const found = CONTENT.between.find(([a, b]) => a === low && b === high)?.[2] ?? [];
    const [a, b] = this.runs;
    const none = this.layers().every(({ sides }) => sides.every((one) => !one?.named))
      ? [`There is nothing to compare: no neuron of ${a.letter} or ${b.letter} has a significant first label.`]
      : [];
    const few = this.runs
      .filter((run) => run.n < CONTENT.few)
      .map((run) => `${run.letter} has only ${run.n} images: differences of a few neurons are noise.`);
    return h(
      "div",
      { class: found.length || few.length ? "callout" : null },
      h(
        "ul",
        { class: "cautions" },
        [...none, ...found, ...few, `${CONTENT.chance}. mcd compare resamples patients for intervals.`].map(
          (one) => h("li", {}, one),
        ),
      ),
    );
  },

  pick() {
    const options = RUNS.map((run) => [String(run.number), run.name]);
    return ["First", "Second"].map((title, side) =>
      labelled(
        title,
        choice(`r-${side}`, options, String(this.chosen[side]), (value) => {
          this.chosen[side] = Number(value);
          this.open();
          document.getElementById(`r-${side}`).focus();
        }),
        "run-choice",
      ),
    );
  },

  button(text, save) {
    return h("button", { type: "button", class: "plain", onclick: save }, text);
  },

  open() {
    this.neuronsShown = null;
    this.counted = h("p", { class: "counted", role: "status", "aria-live": "polite" });
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
    document.getElementById("compare").replaceChildren(
      h("h1", { id: "compare-title", tabindex: "-1" }, "Compare"),
      h("div", { class: "filters" }, this.pick()),
      this.cautions(),
      h(
        "section",
        {},
        h("h2", {}, "Layers"),
        this.layerTable(),
        h(
          "p",
          {},
          this.button("Download layers as CSV", () => this.saveLayers()),
        ),
      ),
      h(
        "form",
        {
          class: "filters",
          role: "search",
          "aria-label": "Search both runs",
          onsubmit: (event) => event.preventDefault(),
        },
        labelled("Which neurons see …", text, "grow"),
        conceptOptions("known-r"),
        this.counted,
      ),
      h(
        "section",
        {},
        h("h2", {}, "Concepts"),
        this.conceptTable(),
        h(
          "p",
          {},
          this.button("Download concepts as CSV", () => this.saveConcepts()),
        ),
      ),
      this.neuronSection(),
    );
    this.update();
    return "Compare";
  },
};
