// @ts-check
// The list of neurons: filtered by what they are, searched by what they respond to.

const AT_MOST = ["0.2", "0.1", "0.05", "0.01", "0.001"];
const BLANK = { run: "", layer: "", broad: "", category: "", text: "", first: "", q: "", verdict: "", rung: "", status: "" };

const neurons = {
  filter: { ...BLANK },

  // One row a neuron that fits, with the one of its labels that fits and has the strongest evidence.
  found() {
    const { filter } = this;
    const typed = filter.text.trim() ? holding(filter.text) : () => false;
    const text = matching(filter.text);
    const among = Uint8Array.from(CONCEPTS.term, (_, at) =>
      (!filter.broad || CONCEPTS.broad_category[at] === filter.broad) &&
      (!filter.category || CONCEPTS.category[at] === filter.category)
        ? 1
        : 0,
    );
    const both = among.map((one, at) => one & text[at]);
    const asked = Boolean(filter.text.trim() || filter.broad || filter.category);
    const limit = filter.q ? Math.fround(Number(filter.q)) : Infinity;
    const rows = [];
    for (const run of RUNS) {
      if (filter.run && run.number !== Number(filter.run)) continue;
      for (let neuron = 0; neuron < run.count; neuron += 1) {
        if (!this.suits(run, neuron)) continue;
        const only = filter.first || !(asked || filter.q); // the first concept alone
        const start = only ? Math.max(run.best(neuron), 0) : run.first[neuron];
        const end = only ? start + Number(run.best(neuron) >= 0) : run.first[neuron + 1];
        const fits = typed(run.unit(neuron)) ? among : both; // what is typed may be the name of the unit
        let label = -1;
        for (let at = start; at < end && label < 0; at += 1) {
          if (fits[run.concept[at]] && (limit === Infinity || run.q[at] <= limit)) label = at;
        }
        if (label >= 0 || !(asked || filter.q)) rows.push({ run, neuron, label });
      }
    }
    return rows.sort((one, other) => this.evidence(one, other));
  },

  // The strongest evidence first, as content.py orders the concepts of a neuron: lowest q, then highest z.
  evidence(one, other) {
    const last = (value) => (Number.isNaN(value) ? Infinity : value); // what is not known, of a run that was not tested
    const [a, b] = [one, other].map(({ run, label: at }) => (at < 0 ? [NaN, NaN] : [run.q[at], -run.z[at]]).map(last));
    return a[0] - b[0] || a[1] - b[1] || 0;
  },

  suits(run, neuron) {
    const { filter } = this;
    if (filter.layer && run.layers[run.layerOf[neuron]].name !== filter.layer) return false;
    if (filter.status && run.statuses[run.status[neuron]] !== filter.status) return false;
    if (filter.rung && RUNG_NAMES.indexOf(run.rungOf(neuron)) < RUNG_NAMES.indexOf(filter.rung)) return false;
    if (filter.verdict === "any") return run.significant[neuron] === 1;
    return !filter.verdict || run.verdicts[run.verdict[neuron]] === filter.verdict;
  },

  // The filters as part of the address, so that a link to what is shown can be kept.
  address() {
    const set = new URLSearchParams(Object.entries(this.filter).filter(([, value]) => value));
    return `#neurons${set.size ? `?${set}` : ""}`;
  },

  set(name, value) {
    this.filter[name] = value;
    history.replaceState(null, "", this.address());
    this.update();
  },

  update() {
    const rows = this.found();
    const all = RUNS.reduce(
      (total, run) => total + (this.filter.run && run.number !== Number(this.filter.run) ? 0 : run.count),
      0,
    );
    this.counted.textContent = `${count(rows.length)} of ${plural(all, "neuron")}`;
    this.table.show(rows);
    this.clear.hidden = !Object.values(this.filter).some(Boolean);
  },

  columns() {
    const label =
      (read) =>
      ({ run, label: at }) =>
        at < 0 ? NaN : read(run)[at];
    return [
      { name: "run", title: "Run", when: () => SEVERAL, value: (row) => row.run.number, cell: (row) => row.run.letter },
      {
        name: "layer",
        title: "Layer",
        value: ({ run, neuron }) => run.layerOf[neuron],
        cell: ({ run, neuron }) => run.layer(neuron),
      },
      {
        name: "neuron",
        title: "Neuron",
        number: true,
        heads: true,
        value: ({ run, neuron }) => run.place(neuron),
        cell: ({ run, neuron }) =>
          h(
            "a",
            { href: run.address(neuron), "aria-label": `${run.layer(neuron)}, neuron ${run.place(neuron)}` },
            String(run.place(neuron)),
          ),
      },
      {
        name: "unit",
        title: "Unit",
        when: () => NAMED,
        value: ({ run, neuron }) => run.unit(neuron),
        cell: ({ run, neuron }) => run.unit(neuron) || "–",
      },
      {
        name: "concept",
        title: "Concept",
        value: ({ run, label: at }) => run.term(at),
        cell: ({ run, label: at }) => run.term(at) || "–",
      },
      {
        name: "rank",
        title: "Rank",
        number: true,
        value: ({ run, label: at }) => (at < 0 ? NaN : run.rank[at]),
        cell: ({ run, label: at }) => (at < 0 ? "–" : String(run.rank[at])),
      },
      {
        name: "category",
        title: "Category",
        narrow: false,
        value: ({ run, label: at }) => run.category(at),
        cell: ({ run, label: at }) => run.category(at),
      },
      {
        name: "z",
        title: "z",
        number: true,
        value: label((run) => run.z),
        cell: (row) => decimal(label((run) => run.z)(row), 1),
      },
      {
        name: "q",
        title: "q",
        number: true,
        value: label((run) => run.q),
        cell: (row) => significant(label((run) => run.q)(row), 2),
      },
      {
        name: "score",
        title: "Score",
        number: true,
        narrow: false,
        value: label((run) => run.score),
        cell: (row) => significant(label((run) => run.score)(row)),
      },
      {
        name: "rung",
        title: "Rung",
        narrow: false,
        when: () => CLIMBED,
        value: ({ run, neuron }) => RUNG_NAMES.indexOf(run.rungOf(neuron)),
        cell: ({ run, neuron }) => run.rungOf(neuron) || "–",
      },
      {
        name: "stability",
        title: "Comes back",
        number: true,
        narrow: false,
        when: () => RESAMPLED,
        value: ({ run, neuron }) => run.evaluation.share(neuron),
        cell: ({ run, neuron }) => percent(run.evaluation.share(neuron)),
      },
      {
        name: "verdict",
        title: "Verdict",
        value: ({ run, neuron }) => run.verdictOf(neuron),
        cell: ({ run, neuron }) => verdict(run, neuron),
      },
    ];
  },

  save() {
    const header = [
      ...(SEVERAL ? ["run"] : []),
      "target",
      "layer",
      "neuron",
      ...(NAMED ? ["unit"] : []),
      "status",
      "verdict",
      "rank",
      "concept",
      "category",
      "broad_category",
      "score",
      "z",
      "p",
      "q",
      "rung",
      ...(RESAMPLED ? ["stability"] : []),
    ];
    download(
      "neurons",
      header,
      this.table.rows.map(({ run, neuron, label: at }) => [
        ...(SEVERAL ? [run.letter] : []),
        run.target,
        run.layer(neuron),
        run.place(neuron),
        ...(NAMED ? [run.unit(neuron)] : []),
        run.statuses[run.status[neuron]],
        run.verdicts[run.verdict[neuron]],
        at < 0 ? null : run.rank[at],
        run.term(at),
        run.category(at),
        run.broad(at),
        ...[run.score, run.z, run.p, run.q].map((column) => (at < 0 ? null : column[at])),
        run.rungOf(neuron),
        ...(RESAMPLED ? [run.evaluation.share(neuron)] : []),
      ]),
    );
  },

  fields() {
    const { filter } = this;
    const set = (name) => (value) => this.set(name, value);
    const any = ["", "any"];
    const same = (names) => [any, ...[...new Set(names)].filter(Boolean).map((one) => [one, one])];
    const sorted = (names) => same([...names].sort(alphabet.compare));
    const text = h("input", {
      id: "f-text",
      type: "search",
      list: "known",
      value: filter.text,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "such as: spiculated margin",
      oninput: () => this.set("text", text.value),
    });
    const first = h("input", {
      id: "f-first",
      type: "checkbox",
      checked: Boolean(filter.first),
      onchange: () => this.set("first", first.checked ? "1" : ""),
    });
    const verdicts = RUNS.flatMap((run) => run.verdicts).filter(Boolean);
    return [
      labelled("Which neurons see …", text, { kind: "grow" }),
      SEVERAL &&
        labelled(
          "Run",
          choice("f-run", [["", "all"], ...RUNS.map((run) => [String(run.number), run.name])], filter.run, set("run")),
          { kind: "run-choice" },
        ),
      labelled(
        "Layer",
        choice("f-layer", same(RUNS.flatMap((run) => run.layers.map((one) => one.name))), filter.layer, set("layer")),
      ),
      labelled("Broad category", choice("f-broad", sorted(CONCEPTS.broad_category), filter.broad, set("broad"))),
      labelled("Category", choice("f-category", sorted(CONCEPTS.category), filter.category, set("category"))),
      labelled(
        "Verdict",
        choice(
          "f-verdict",
          [
            any,
            ...(verdicts.length ? [["any", "significant, all kinds"]] : []),
            ...[...new Set(verdicts)].map((one) => [one, one === "significant" ? "significant, one category" : one]),
          ],
          filter.verdict,
          set("verdict"),
        ),
      ),
      CLIMBED &&
        labelled(
          "Rung, at least",
          choice("f-rung", [any, ...RUNG_NAMES.map((one) => [one, one])], filter.rung, set("rung")),
        ),
      labelled("Status", choice("f-status", sorted(RUNS.flatMap((run) => run.statuses)), filter.status, set("status"))),
      labelled("q at most", choice("f-q", [any, ...AT_MOST.map((one) => [one, one])], filter.q, set("q"))),
      h("div", { class: "field check" }, first, h("label", { for: "f-first" }, "first concept only"), about("first concept")),
    ].filter(Boolean);
  },

  // Why no neuron is listed, in a sentence.
  empty() {
    const { verdict, text } = this.filter;
    if (verdict && verdict !== "not significant" && !RUNS.some((run) => run.significant.some(Boolean)))
      return RUNS.some((run) => run.judged)
        ? "No neuron is significant: take more images (mcd dissect … --limit), or more draws (mcd score RUN --most-draws)."
        : "Significance was not computed: mcd score RUN --draws 1000.";
    if (text) return "No neuron keeps such a concept: Concepts says whether the images show it.";
    return "No neuron fits all filters: clear them.";
  },

  open(query) {
    this.filter = {
      ...BLANK,
      ...Object.fromEntries([...new URLSearchParams(query)].filter(([name]) => Object.hasOwn(BLANK, name))),
    };
    if (!SEVERAL) this.filter.run = "";
    const section = document.getElementById("neurons");
    this.counted = h("p", { class: "counted", role: "status", "aria-live": "polite" });
    this.clear = h(
      "button",
      {
        type: "button",
        class: "plain",
        onclick: () => {
          location.hash = "#neurons";
          if (location.hash === "#neurons") this.open("");
        },
      },
      "Clear filters",
    );
    const judged = RUNS.some((run) => run.judged);
    this.table = new Table("Neurons", this.columns(), {
      sort: judged ? "q" : "layer",
      descending: false,
      empty: () => this.empty(),
    });
    section.replaceChildren(
      h("h1", { id: "neurons-title", tabindex: "-1" }, "Neurons"),
      h(
        "form",
        {
          class: "filters",
          role: "search",
          "aria-label": "Filter neurons",
          onsubmit: (event) => event.preventDefault(),
        },
        this.fields(),
        conceptOptions("known"),
      ),
      h(
        "div",
        { class: "bar" },
        this.counted,
        this.clear,
        h("button", { type: "button", class: "plain", onclick: () => this.save() }, "Download as CSV"),
      ),
      this.table.element,
      h(
        "p",
        { class: "hint" },
        "A search covers all concepts of a neuron and shows the match with the strongest evidence; " +
          "q is computed within each layer.",
      ),
    );
    this.update();
    return "Neurons";
  },
};
