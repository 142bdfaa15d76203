// @ts-check
// Two runs neuron by neuron, where they have the same layers.

const CHANGES = CONTENT.changes; // as mcd compare calls them
const [KEPT, SAME_CATEGORY, REPURPOSED, GAINED, LOST, NEITHER] = CHANGES;
const DECIDES = [GAINED, LOST, REPURPOSED, SAME_CATEGORY, KEPT, NEITHER]; // what changed stands first

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
      if (!mine && !theirs) return NEITHER;
      if (!mine || !theirs) return mine ? LOST : GAINED;
      const [one, other] = [a.best(neuron), b.best(neuron)];
      if (a.term(one) === b.term(other)) return KEPT;
      return a.category(one) === b.category(other) ? SAME_CATEGORY : REPURPOSED;
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
      return rows.sort((one, other) => this.strongest(other.neuron) - this.strongest(one.neuron));
    },

    // The highest z of a neuron's first concept in the two runs.
    strongest(neuron) {
      const z = this.runs.map((run) => (run.best(neuron) < 0 ? NaN : run.z[run.best(neuron)])).filter(Number.isFinite);
      return z.length ? Math.max(...z) : -1e9;
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
          { name: "change", title: "Change", value: (row) => DECIDES.indexOf(row.kind), cell: (row) => row.kind },
        ],
        { sort: "change", descending: false, perPage: 15 },
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
          kind,
        ]),
      );
    },

    // How many neurons changed in each way, with intervals where mcd compare gives them.
    changesSaid() {
      const known = (differences.table.changes ?? []).filter(([run]) => run === this.chosen[1]);
      const counted = () => {
        const kinds = Array.from({ length: this.runs[0].count }, (_, neuron) => this.change(neuron));
        return CHANGES.map((kind) => [0, kind, kinds.filter((one) => one === kind).length, null, null, kinds.length]);
      };
      return h(
        "ul",
        { class: "changes" },
        (known.length ? known : counted()).map(([, kind, number, low, high, of]) =>
          h(
            "li",
            {},
            `${kind}: ${count(number)} of ${count(of)} neurons`,
            low === null ? "" : h("small", {}, ` (${count(Math.round(low))} to ${count(Math.round(high))})`),
          ),
        ),
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
        this.changesSaid(),
        h(
          "p",
          { class: "hint" },
          "Matched by layer and number. This is meaningful where one model was fine-tuned from the other, " +
            "or where the target is the same. z of one neuron has no interval.",
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
            choice("r-change", [["", "any"], ...CHANGES.map((one) => [one, one])], this.filter.change, set("change")),
          ),
        ),
        this.neuronTable(),
        this.button("Download neurons as CSV", () => this.saveNeurons()),
      );
    },
  }),
);
