// @ts-check
// The page of one neuron: its concepts, the null, its activations, its top images.

const neuronPage = {
  // Those with the strongest evidence first.
  labels(run, neuron) {
    return Array.from({ length: run.labels[neuron] }, (_, place) => run.first[neuron] + place);
  },

  chance(run, neuron) {
    const null_ = run.null[neuron] ? run.nulls[run.null[neuron] - 1] : null;
    const shown = this.labels(run, neuron).filter((at) => Number.isFinite(run.z[at]));
    if (!run.judged || !shown.length) return h("p", { class: "hint" }, "Significance was not computed for this neuron.");
    const values = [...shown.map((at) => run.z[at]), ...(null_ ? [null_.z[0], null_.z.at(-1)] : []), 0];
    const low = Math.min(...values);
    const high = Math.max(...values) * 1.04;
    const at = scale(low, high);
    const foot = PLOT.top + PLOT.height;
    const bars = null_ ? density(null_) : [];
    const tallest = Math.max(...bars.map((one) => one.height), 1e-9);
    const critical = run.critical[neuron];
    const best = Number.isFinite(run.z[run.best(neuron)]) ? run.best(neuron) : shown[0];
    const beyond = null_
      ? `; 95 % of the null lies below ${decimal(quantile(null_, 0.95), 1)}`
      : "";
    const own = `${run.term(best)} has z ${decimal(run.z[best], 1)}${beyond}`;
    return h(
      "figure",
      {},
      plot(
        "z of this neuron's concepts against the null",
        own,
        bars.map((one) =>
          s("rect", {
            class: "null",
            x: at(one.from),
            width: at(one.to) - at(one.from),
            y: foot - (one.height / tallest) * PLOT.height * 0.8,
            height: (one.height / tallest) * PLOT.height * 0.8,
          }),
        ),
        axis(at, low, high, "z"),
        Number.isFinite(critical)
          ? s(
              "g",
              { class: "limit" },
              s("line", { x1: at(critical), x2: at(critical), y1: PLOT.top - 8, y2: foot }),
              s(
                "text",
                { x: at(critical), y: PLOT.top - 12, "text-anchor": at(critical) > WIDTH * 0.8 ? "end" : "middle" },
                "significant from here",
              ),
            )
          : null,
        [...shown]
          .reverse()
          .map((one) =>
            s(
              "g",
              { class: one === best ? "mine first" : "mine" },
              s("line", { x1: at(run.z[one]), x2: at(run.z[one]), y1: foot, y2: foot - (one === best ? 46 : 24) }),
              s(
                "circle",
                { cx: at(run.z[one]), cy: foot - (one === best ? 46 : 24), r: one === best ? 5 : 3.5 },
                s("title", {}, `${run.term(one)}: z ${decimal(run.z[one], 1)}`),
              ),
            ),
          ),
      ),
      h(
        "figcaption",
        {},
        null_ ? "Grey: null distribution of the highest z over all concepts. " : "The null of this run was not kept. ",
        "Pins: this neuron's concepts, the first one tallest.",
        run.n < CONTENT.few ? h("strong", {}, ` With ${run.n} images the null is wide.`) : "",
        Number.isFinite(run.p_any[neuron])
          ? ` p over all concepts: ${significant(run.p_any[neuron], 2)}.`
          : "",
      ),
    );
  },

  // How far the first concept gets: the q of each rung that was tested.
  climbed(run, neuron) {
    const at = run.best(neuron);
    if (at < 0 || !run.climbed.length) return "";
    const rows = [[RUNG_NAMES[0], run.q[at]], ...run.climbed.map(([rung, q]) => [rung, q[neuron]])];
    return h(
      "dl",
      { class: "rungs" },
      rows.map(([rung, q]) =>
        h(
          "div",
          { class: q <= run.rate ? "passed" : "faint" },
          h("dt", {}, term(rung)),
          h("dd", {}, Number.isFinite(q) ? `q = ${significant(q, 2)}` : "not testable"),
        ),
      ),
    );
  },

  concepts(run, neuron) {
    const labels = this.labels(run, neuron);
    if (!labels.length)
      return h("p", {}, `It has no concepts: ${meaning(run.verdictOf(neuron)) || run.verdictOf(neuron)}.`);
    const above = labels.filter((at) => run.isAbove(neuron, at));
    const rest = labels.slice(above.length);
    const order = run.judged ? "lowest q first, then highest z, then score" : "best score first";
    return h(
      "div",
      { class: "scroll", role: "region", tabindex: "0", "aria-label": "Concepts of this neuron" },
      h(
        "table",
        { class: "concepts" },
        h("caption", {}, `Concepts of this neuron: ${order}`),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            [
              ["Rank", "number"],
              ["Concept"],
              ["Category", "wide"],
              ["Score", "number wide"],
              ["z", "number"],
              ["p", "number wide"],
              ["q", "number"],
            ].map(([title, kind]) => h("th", { scope: "col", class: kind ?? null }, term(title))),
          ),
        ),
        run.judged
          ? [
              this.part(run, above, `${above.length ? "Above chance" : "None is above chance"} (significant at q ≤ ${significant(run.rate)})`, ""),
              rest.length ? this.part(run, rest, this.chanceOf(run, neuron, rest), "below") : "",
            ]
          : h("tbody", {}, labels.map((at) => this.concept(run, at, null))),
      ),
    );
  },

  // What stands above the concepts that are not above chance: q may be low there where the first concept is not significant.
  chanceOf(run, neuron, rest) {
    const low = !run.named(neuron) && rest.some((at) => run.q[at] <= run.rate);
    return `May be chance${low ? ": a low q counts only where the concept of rank 1 is significant" : ""}`;
  },

  // Concepts on one side of the line, under a heading that spans the table.
  part(run, labels, title, kind) {
    return h(
      "tbody",
      { class: kind || null },
      h("tr", { class: "part" }, h("th", { scope: "rowgroup", colspan: "7" }, title)),
      labels.map((at) => this.concept(run, at, kind ? "faint" : null)),
    );
  },

  concept(run, at, kind) {
    return h(
      "tr",
      { class: kind },
      h("td", { class: "number" }, String(run.rank[at])),
      h(
        "th",
        { scope: "row" },
        h(
          "a",
          { href: `#neurons?${new URLSearchParams({ text: run.term(at) })}`, title: "All neurons with this concept" },
          run.term(at),
        ),
      ),
      h("td", { class: "wide" }, run.category(at)),
      h("td", { class: "number wide" }, significant(run.score[at])),
      h("td", { class: "number" }, decimal(run.z[at], 1)),
      h("td", { class: "number wide" }, significant(run.p[at], 2)),
      h("td", { class: "number" }, significant(run.q[at], 2)),
    );
  },

  activations(run, neuron) {
    if (!run.response) return h("p", { class: "hint" }, "The run folder held no activations when this page was made.");
    const { bins, counts, low, high, top, activation } = run.response();
    const mine = counts.subarray(neuron * bins, (neuron + 1) * bins);
    const total = mine.reduce((sum, one) => sum + one, 0);
    if (!total) return h("p", { class: "hint" }, "Its activations are not all finite.");
    const [from, to] = [low[neuron], high[neuron]];
    if (from === to) return h("p", { class: "hint" }, `Every image gives ${significant(from)}.`);
    const at = scale(from, to);
    const foot = PLOT.top + PLOT.height;
    const tallest = Math.max(...mine);
    const width = at(from + (to - from) / bins) - at(from);
    return h(
      "figure",
      {},
      plot(
        "a histogram of activations",
        `${plural(total, "image")} between ${significant(from)} and ${significant(to)}, at most ${tallest} in one bar`,
        [...mine].map((one, bin) =>
          s(
            "rect",
            {
              class: "bar",
              x: at(from) + bin * width + 0.75,
              width: width - 1.5,
              y: foot - (one / tallest) * PLOT.height,
              height: (one / tallest) * PLOT.height,
            },
            s("title", {}, `${plural(one, "image")}`),
          ),
        ),
        axis(at, from, to, "activation"),
        Array.from({ length: top }, (_, rank) =>
          s("path", { class: "best", d: `M${at(activation[neuron * top + rank])} ${foot + 1}l-4 7h8z` }),
        ),
      ),
      h(
        "figcaption",
        {},
        `${plural(total, "image")}, the tallest bar holds ${count(tallest)}. Triangles: the top images.`,
      ),
    );
  },

  images(run, neuron) {
    const status = run.statuses[run.status[neuron]];
    if (status === "dead" || status === "constant")
      return h("p", { class: "hint" }, "It has no top images: its activation is the same for all images.");
    if (!run.response || !run.image)
      return h(
        "p",
        { class: "hint" },
        "No top images: none were requested, or the run folder lacked its activations or its folder private when this " +
          "page was made.",
      );
    const { top, activation } = run.response();
    const probe = CONTENT.probes[run.shown.probe];
    const shots = Array.from({ length: top }, (_, rank) => this.shot(run, neuron, rank, run.image()[neuron * top + rank]));
    const shown = shots.filter((shot) => shot.copy);
    return h(
      "div",
      {},
      probe.note ? h("p", { class: "hint" }, probe.note) : "",
      h(
        "ol",
        { class: "images" },
        shots.map((shot, rank) =>
          h("li", {}, this.image(shot, activation[neuron * top + rank], rank + 1, () => viewer.opener(shown, shown.indexOf(shot), shot.picture))),
        ),
      ),
      h("p", { class: "hint" }, shown.length ? "Press an image to enlarge it. " : "", maps.note(run, neuron)),
    );
  },

  // A top image as the viewer takes it, with its small copy where there is one.
  shot(run, neuron, rank, image) {
    const probe = CONTENT.probes[run.shown.probe];
    const copy = pictures()[run.shown.probe][image];
    const recorded = this.recorded(probe, image).join(", ");
    const alt =
      `Image ${probe.ids[image]}${recorded && ` (${recorded})`} is number ${rank + 1} of the images that ` +
      `neuron ${run.place(neuron)} of ${run.layer(neuron)} responds to most.`;
    const picture = copy
      ? h("img", { src: `data:image/webp;base64,${copy}`, alt })
      : h("div", { class: "blank" }, "not copied");
    const map = copy ? maps.of(run, neuron, rank, image) : null;
    return { id: probe.ids[image], probe, image, copy, alt, picture, map };
  },

  recorded(probe, image) {
    const of = (name) => probe[name].names[this.coded(probe, name)[image]];
    return [
      of("laterality"),
      of("view"),
      of("density") && `density ${of("density")}`,
      of("assessment") && `BI-RADS ${of("assessment")}`,
      of("implant") === "yes" && "implant",
    ].filter(Boolean);
  },

  image({ probe, image, copy, picture, map }, activation, rank, opener) {
    const findings = probe.findings.of[image].map((one) => probe.findings.names[one]);
    const facts = this.recorded(probe, image);
    return h(
      "figure",
      { class: "image" },
      copy ? opener() : picture,
      map ? maps.toggle(map, picture, probe.ids[image], rank) : "",
      h(
        "figcaption",
        {},
        h("span", { class: "rank" }, `${rank}. ${significant(activation)}`),
        h("code", {}, probe.ids[image]),
        facts.length ? h("span", {}, facts.join(" · ")) : "",
        findings.length
          ? h(
              "details",
              {},
              h("summary", {}, plural(findings.length, "finding")),
              h(
                "ul",
                {},
                findings.map((one) => h("li", {}, one)),
              ),
            )
          : "",
      ),
    );
  },

  coded(probe, name) {
    probe[name].column ??= unpacked(probe[name].of);
    return probe[name].column;
  },

  explained(run, neuron) {
    const mine = run.explanations.filter(([at]) => at === neuron);
    return mine.length
      ? h(
          "section",
          {},
          h("h2", {}, term("Explanation", "Explanation by several concepts")),
          h(
            "ul",
            {},
            mine.map(([, text, fit, q]) =>
              h(
                "li",
                {},
                h("strong", {}, text),
                ` – fit on held-out patients ${decimal(fit ?? NaN)}, q = ${significant(q ?? NaN, 2)}`,
              ),
            ),
          ),
        )
      : "";
  },

  others(run, neuron) {
    const layer = run.layerOf[neuron];
    const link = (at, text) =>
      at >= run.offsets[layer] && at < run.offsets[layer + 1]
        ? h("a", { href: run.address(at) }, text)
        : h("span", { "aria-hidden": "true" });
    const same = RUNS.filter((one) => one !== run)
      .map((one) => [one, one.layers.findIndex((found) => found.name === run.layer(neuron))])
      .filter(([one, at]) => at >= 0 && run.place(neuron) < one.layers[at].neurons);
    return h(
      "nav",
      { class: "around", "aria-label": "Other neurons" },
      h("a", { href: neurons.address() }, "← All neurons"),
      link(neuron - 1, "Previous in layer"),
      link(neuron + 1, "Next in layer"),
      same.map(([one, at]) =>
        h("a", { href: one.address(one.offsets[at] + run.place(neuron)) }, `Same number in ${one.letter}`),
      ),
    );
  },

  open(path) {
    const [run_, layer, place] = path.split("/").map(Number);
    const run = RUNS[run_];
    const section = document.getElementById("neuron");
    if (!run || !(layer in run.layers) || !(place >= 0 && place < run.layers[layer].neurons)) {
      section.replaceChildren(
        h("h1", { id: "neuron-title", tabindex: "-1" }, "There is no such neuron"),
        h("p", {}, h("a", { href: "#neurons" }, "All neurons")),
      );
      return "No such neuron";
    }
    const neuron = run.offsets[layer] + place;
    const best = run.best(neuron);
    section.replaceChildren(
      this.others(run, neuron),
      h(
        "h1",
        { id: "neuron-title", tabindex: "-1" },
        h("span", { class: "layer" }, run.layer(neuron)),
        " neuron ",
        String(place),
        run.unit(neuron) ? `: ${run.unit(neuron)}` : "",
      ),
      h(
        "p",
        { class: "lead" },
        SEVERAL ? h("span", { class: "letter" }, run.letter) : "",
        SEVERAL ? ` ${[run.target, run.apart].filter(Boolean).join(", ")}. ` : "",
        best >= 0 ? h("strong", {}, run.term(best)) : "No concept",
        " ",
        verdict(run, neuron),
        run.statuses[run.status[neuron]] === "tied" ? ` Tied: ${meaning("tied")}.` : "",
      ),
      h(
        "div",
        { class: "columns" },
        h("section", {}, h("h2", {}, term("Against the null")), this.chance(run, neuron)),
        h("section", {}, h("h2", {}, term("Activations")), this.activations(run, neuron)),
      ),
      h("section", {}, h("h2", {}, "Concepts"), this.climbed(run, neuron), this.concepts(run, neuron)),
      this.explained(run, neuron),
      run.evaluation.section(run, neuron),
      h("section", {}, h("h2", {}, term("Top images")), this.images(run, neuron)),
    );
    return [`${run.layer(neuron)} ${place}`, run.unit(neuron)].filter(Boolean).join(": ");
  },
};
