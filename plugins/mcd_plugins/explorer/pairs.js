// @ts-check
// Two runs neuron by neuron, where they have the same layers.

const CHANGES = {
  same: "same concept in both",
  other: "another concept",
  gained: "only in the second",
  lost: "only in the first",
  neither: "in neither",
};

Object.assign(
  comparison,
  /** @type {ThisType<typeof comparison & Record<string, any>>} */ ({
    sameNeurons() {
      const [a, b] = this.runs;
      return JSON.stringify(a.layers) === JSON.stringify(b.layers);
    },

    change(neuron) {
      const [a, b] = this.runs;
      const [mine, theirs] = [a.named(neuron), b.named(neuron)];
      if (!mine && !theirs) return "neither";
      if (!mine || !theirs) return mine ? "lost" : "gained";
      return a.term(a.best(neuron)) === b.term(b.best(neuron)) ? "same" : "other";
    },

    neuronRows() {
      const [a, b] = this.runs;
      const { layer, change, text } = this.filter;
      const fits = matching(text);
      const has = (run, neuron) => !text.trim() || this.holds(run, neuron, fits);
      const rows = [];
      for (let neuron = 0; neuron < a.count; neuron += 1) {
        if (layer && a.layer(neuron) !== layer) continue;
        const kind = this.change(neuron);
        if ((!change || change === kind) && (has(a, neuron) || has(b, neuron))) rows.push({ neuron, kind });
      }
      return rows;
    },

    holds(run, neuron, fits) {
      for (let at = run.first[neuron]; at < run.first[neuron + 1]; at += 1) if (fits[run.concept[at]]) return true;
      return false;
    },

    neuronTable() {
      const [a] = this.runs;
      const sides = this.runs.flatMap((run, side) => [
        {
          name: `c${side}`,
          title: `${run.letter}: concept`,
          term: "first concept",
          value: ({ neuron }) => run.term(run.best(neuron)),
          cell: ({ neuron }) =>
            h(
              "a",
              { href: run.address(neuron), class: run.named(neuron) ? null : "faint" },
              run.term(run.best(neuron)) || run.verdictOf(neuron),
            ),
        },
        {
          name: `z${side}`,
          title: `${run.letter}: z`,
          term: "z",
          number: true,
          narrow: false,
          value: ({ neuron }) => (run.best(neuron) < 0 ? NaN : run.z[run.best(neuron)]),
          cell: ({ neuron }) => (run.best(neuron) < 0 ? "–" : decimal(run.z[run.best(neuron)], 1)),
        },
      ]);
      this.neuronsShown = new Table(
        "Neurons side by side",
        [
          {
            name: "layer",
            title: "Layer",
            value: ({ neuron }) => a.layerOf[neuron],
            cell: ({ neuron }) => a.layer(neuron),
          },
          {
            name: "neuron",
            title: "Neuron",
            number: true,
            heads: true,
            value: ({ neuron }) => a.place(neuron),
            cell: ({ neuron }) => String(a.place(neuron)),
          },
          ...sides,
          { name: "change", title: "Change", value: (row) => CHANGES[row.kind], cell: (row) => CHANGES[row.kind] },
        ],
        { sort: "layer", descending: false, perPage: 15 },
      );
      return this.neuronsShown.element;
    },

    saveNeurons() {
      const header = [
        "layer",
        "neuron",
        ...this.runs.flatMap((run) => ["concept", "z", "q", "verdict"].map((one) => `${run.letter}_${one}`)),
        "change",
      ];
      download(
        "compared-neurons",
        header,
        this.neuronsShown.rows.map(({ neuron, kind }) => [
          this.runs[0].layer(neuron),
          this.runs[0].place(neuron),
          ...this.runs.flatMap((run) => {
            const at = run.best(neuron);
            return [
              run.term(at),
              at < 0 ? null : run.z[at],
              at < 0 ? null : run.q[at],
              run.verdicts[run.verdict[neuron]],
            ];
          }),
          CHANGES[kind],
        ]),
      );
    },

    neuronSection() {
      const [a] = this.runs;
      if (!this.sameNeurons())
        return h("p", { class: "hint" }, "Neurons cannot be compared one by one: layers or their widths differ.");
      const set = (name) => (value) => {
        this.filter[name] = value;
        this.update();
      };
      return h(
        "section",
        {},
        h("h2", {}, "Neuron by neuron"),
        h(
          "p",
          { class: "hint" },
          "Matched by layer and number. This is meaningful where one model was fine-tuned from the other, " +
            "or where the target is the same.",
        ),
        h(
          "div",
          { class: "filters" },
          labelled(
            "Layer",
            choice(
              "r-layer",
              [["", "any"], ...a.layers.map((one) => [one.name, one.name])],
              this.filter.layer,
              set("layer"),
            ),
          ),
          labelled(
            "Change",
            choice("r-change", [["", "any"], ...Object.entries(CHANGES)], this.filter.change, set("change")),
          ),
        ),
        this.neuronTable(),
        h(
          "p",
          {},
          this.button("Download neurons as CSV", () => this.saveNeurons()),
        ),
      );
    },
  }),
);
