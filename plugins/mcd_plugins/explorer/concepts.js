// @ts-check
// The list of concepts: how many neurons carry each, and where.

// The columns that tables of concepts begin with.
function conceptColumns() {
  return [
    {
      name: "concept",
      title: "Concept",
      heads: true,
      value: (row) => CONCEPTS.term[row.concept],
      cell: (row) =>
        h(
          "a",
          { href: `#neurons?${new URLSearchParams({ text: CONCEPTS.term[row.concept] })}` },
          CONCEPTS.term[row.concept],
        ),
    },
    {
      name: "category",
      title: "Category",
      narrow: false,
      value: (row) => CONCEPTS.category[row.concept],
      cell: (row) => CONCEPTS.category[row.concept],
    },
  ];
}

const concepts = {
  text: "",

  // For each concept that some neuron keeps, its counts in each run.
  all: later(() => {
    const found = CONCEPTS.term.map((_, concept) => ({
      concept,
      runs: RUNS.map(() => ({ named: 0, first: 0, kept: 0, best: -1 })),
    }));
    RUNS.forEach((run, number) => {
      for (let neuron = 0; neuron < run.count; neuron += 1) {
        for (let at = run.first[neuron]; at < run.first[neuron + 1]; at += 1) {
          const one = found[run.concept[at]].runs[number];
          one.kept += 1;
          if (at === run.best(neuron)) {
            one.first += 1;
            if (run.named(neuron)) one.named += 1;
          }
          const by = run.judged ? run.z : null;
          if (by && (one.best < 0 || by[at] > by[one.best])) [one.best, one.neuron] = [at, neuron];
        }
      }
    });
    return found;
  }),

  columns() {
    const judged = RUNS.some((run) => run.judged);
    const each = RUNS.flatMap((run, number) => {
      const of = (title) => (SEVERAL ? `${run.letter}: ${title}` : title);
      return [
        {
          name: `named${number}`,
          title: of(judged ? "significant" : "first"),
          term: judged ? "significant" : "first",
          number: true,
          value: (row) => row.runs[number].named,
          cell: (row) => count(row.runs[number].named),
        },
        !SEVERAL &&
          judged && {
            name: `first${number}`,
            title: "First",
            number: true,
            narrow: false,
            value: (row) => row.runs[number].first,
            cell: (row) => count(row.runs[number].first),
          },
        {
          name: `kept${number}`,
          title: of("kept"),
          term: "kept",
          number: true,
          narrow: false,
          value: (row) => row.runs[number].kept,
          cell: (row) => count(row.runs[number].kept),
        },
        judged && {
          name: `z${number}`,
          title: of("highest z"),
          term: "highest z",
          number: true,
          value: (row) => (row.runs[number].best < 0 ? NaN : run.z[row.runs[number].best]),
          cell: (row) => {
            const { best, neuron } = row.runs[number];
            return best < 0
              ? "–"
              : h(
                  "a",
                  {
                    href: run.address(neuron),
                    "aria-label": `highest z ${decimal(run.z[best], 1)}: ${run.layer(neuron)}, neuron ${run.place(neuron)}`,
                  },
                  decimal(run.z[best], 1),
                );
          },
        },
        run.learned.size > 0 && {
          name: `rung${number}`,
          title: of("rung"),
          term: "rung",
          narrow: false,
          value: (row) => RUNG_NAMES.indexOf(run.learned.get(row.concept)?.rung),
          cell: (row) => run.learned.get(row.concept)?.rung || "–",
        },
      ].filter(Boolean);
    });
    return [
      ...conceptColumns(),
      ...each,
    ];
  },

  update() {
    const fits = matching(this.text);
    const rows = this.all().filter((row) => fits[row.concept]);
    this.counted.textContent = `${count(rows.length)} of ${plural(CONCEPTS.term.length, "concept")}`;
    this.table.show(rows);
  },

  save() {
    const header = [
      "concept",
      "category",
      "broad_category",
      ...RUNS.flatMap((run) =>
        ["significant", "first", "kept", "highest_z", "rung"].map((one) => (SEVERAL ? `${run.letter}_${one}` : one)),
      ),
    ];
    download(
      "concepts",
      header,
      this.table.rows.map((row) => [
        CONCEPTS.term[row.concept],
        CONCEPTS.category[row.concept],
        CONCEPTS.broad_category[row.concept],
        ...row.runs.flatMap((one, number) => [
          RUNS[number].judged ? one.named : null,
          one.first,
          one.kept,
          one.best < 0 ? null : RUNS[number].z[one.best],
          RUNS[number].learned.get(row.concept)?.rung ?? "",
        ]),
      ]),
    );
  },

  open() {
    const text = h("input", {
      id: "c-text",
      type: "search",
      value: this.text,
      list: "known-c",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "such as: calcifications",
      oninput: () => {
        this.text = text.value;
        this.update();
      },
    });
    this.counted = h("p", { class: "counted", role: "status", "aria-live": "polite" });
    this.table = new Table("Concepts", this.columns(), { sort: "named0" });
    document.getElementById("concepts").replaceChildren(
      h("h1", { id: "concepts-title", tabindex: "-1" }, "Concepts"),
      h(
        "form",
        {
          class: "filters",
          role: "search",
          "aria-label": "Search concepts",
          onsubmit: (event) => event.preventDefault(),
        },
        labelled("Concept", text, "grow"),
        conceptOptions("known-c"),
      ),
      h(
        "div",
        { class: "bar" },
        this.counted,
        h("button", { type: "button", class: "plain", onclick: () => this.save() }, "Download as CSV"),
      ),
      this.table.element,
      h(
        "p",
        { class: "hint" },
        "Only concepts that some neuron keeps are listed. That a concept is missing, or that it is significant for no neuron, " +
          "may also mean that it was not detectable in the probe set.",
      ),
    );
    this.update();
    return "Concepts";
  },
};
