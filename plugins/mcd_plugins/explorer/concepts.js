// @ts-check
// The list of concepts: how many neurons carry each, and where; which no neuron carries, and why.

// What is known of a concept in a run: its answer, images and patients that show it, and the reason.
/** @typedef {[number, number | null, number | null, number | null, string]} Answered */
/** @type {Map<number, Answered>[]} */
const REPRESENTED = RUNS.map((run) => new Map(run.represented.rows.map(([concept, ...rest]) => [concept, rest])));
const CARRIED = CONTENT.answers[0];
const answerOf = (run, concept) => CONTENT.answers[REPRESENTED[run].get(concept)?.[0]] ?? "";
const shows = (run, concept, wanted) => {
  const answer = answerOf(run, concept);
  return wanted === "missing" ? answer !== "" && answer !== CARRIED : answer === wanted;
};

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
  answer: "",

  // For each concept that some neuron keeps, or that the vocabulary has besides, its counts in each run.
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
      const of = (title) => (SEVERAL ? `${run.letter}: ${title}` : `${title[0].toUpperCase()}${title.slice(1)}`);
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
    const plain = each.map((one) => ({ ...one, when: () => !this.answer || this.answer === CARRIED }));
    return [...conceptColumns(), ...plain, ...this.answers()];
  },

  // Columns of what is missing: how many images show a concept that no neuron carries, and why none does.
  answers() {
    const known = RUNS.map((_, run) => run).filter((run) => REPRESENTED[run].size);
    if (!known.length) return [];
    const answered = (row) => known.map((run) => [run, REPRESENTED[run].get(row.concept)]);
    const most = (row, at) => Math.max(...answered(row).map(([, one]) => one?.[at] ?? NaN));
    const images = (name, title, at) => ({
      name,
      title,
      number: true,
      narrow: false,
      when: () => !SEVERAL || this.answer,
      term: `${name} with the concept`,
      value: (row) => most(row, at),
      cell: (row) => (Number.isFinite(most(row, at)) ? count(most(row, at)) : "–"),
    });
    return [
      images("images", "Images", 1),
      images("patients", "Patients", 2),
      {
        name: "answer",
        title: "Represented",
        when: () => !SEVERAL || this.answer,
        value: (row) => known.map((run) => answerOf(run, row.concept)).join(" "),
        cell: (row) =>
          answered(row)
            .filter(([, one]) => one)
            .map(([run, one]) => {
              const answer = CONTENT.answers[one[0]];
              const lead = SEVERAL ? `${RUNS[run].letter}: ${answer}` : answer;
              if (answer === CARRIED) return h("div", { class: "faint" }, lead);
              return h("div", { class: "why" }, h("strong", {}, lead), h("small", {}, one[4]));
            }),
      },
    ];
  },

  update() {
    const fits = matching(this.text);
    const asked = this.answer;
    const rows = this.all().filter(
      (row) => fits[row.concept] && (!asked || RUNS.some((_, run) => shows(run, row.concept, asked))),
    );
    this.counted.textContent = `${count(rows.length)} of ${plural(CONCEPTS.term.length, "concept")}`;
    this.table.show(rows);
  },

  save() {
    const header = [
      "concept",
      "category",
      "broad_category",
      ...RUNS.flatMap((run) =>
        ["significant", "first", "kept", "highest_z", "rung", "represented", "images", "patients", "why"].map((one) =>
          SEVERAL ? `${run.letter}_${one}` : one,
        ),
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
          answerOf(number, row.concept),
          ...(REPRESENTED[number].get(row.concept) ?? [null, null, null, null, ""]).filter((_, at) => at !== 0 && at !== 3),
        ]),
      ]),
    );
  },

  // Which concepts may be asked for: by whether some neuron carries them, as far as that is known.
  choices() {
    const there = new Set(REPRESENTED.flatMap((one) => [...one.values()].map(([answer]) => CONTENT.answers[answer])));
    const words = CONTENT.answers.filter((one) => there.has(one));
    return [["", "all"], ["missing", "carried by no neuron"], ...words.map((one) => [one, one])];
  },

  // What concepts are sorted by: those of most neurons first, what is missing by the images that show it.
  order() {
    return this.answer && this.answers().length ? "images" : "named0";
  },

  // Why there is nothing to show, in a sentence.
  empty() {
    const reasons = [...new Set(RUNS.map((run) => run.represented.missing).filter(Boolean))];
    if (!CONCEPTS.term.length) return "No neuron has a label, so that there is no concept to list: see Overview.";
    if (this.answer && reasons.length) return `Which concepts no neuron carries is not known: ${reasons.join("; ")}.`;
    if (this.answer === "missing") return "Nothing is missing: neurons carry every concept.";
    return "No concept fits: clear the search, or choose all.";
  },

  open(query) {
    const asked = new URLSearchParams(query);
    this.text = asked.get("text") ?? this.text;
    this.answer = asked.get("answer") ?? "";
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
    this.table = new Table("Concepts", this.columns(), { sort: this.order(), empty: () => this.empty() });
    const answer = choice("c-answer", this.choices(), this.answer, (value) => {
      this.answer = value;
      this.table.sort = this.order();
      this.table.descending = true;
      this.update();
    });
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
        labelled("Concept", text, { kind: "grow" }),
        labelled("Represented", answer),
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
        "Under-represented: images show it, a neuron that separates them would have been significant, and none is. Could " +
          "not be shown: no image shows it, or no neuron could have been significant with these images and this " +
          "dissector. Not known: the data set does not annotate it.",
      ),
    );
    this.update();
    return "Concepts";
  },
};
