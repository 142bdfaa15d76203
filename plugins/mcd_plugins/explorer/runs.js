// @ts-check
// Runs, their neurons and labels, and what every view asks about them.

const CONTENT = read("content");
const CONCEPTS = CONTENT.concepts;
const SIGNIFICANT = new Set(CONTENT.significant);
const pictures = later(() => read("pictures"));

/** @typedef {Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array} Column */

class Run {
  // What content.py writes of a run: texts, layers, and columns, which the constructor unpacks.
  /** @type {string} */ letter;
  /** @type {string} */ target;
  /** @type {string} */ apart;
  /** @type {boolean} */ judged;
  /** @type {{ name: string, neurons: number, units: string[] }[]} */ layers;
  /** @type {string[]} */ statuses;
  /** @type {string[]} */ verdicts;
  /** @type {Column} */ status;
  /** @type {Column} */ verdict;
  /** @type {string[]} */ rungs;
  /** @type {Column} */ rung;
  /** @type {[string, Column][]} */ climbed;
  /** @type {Column} */ labels;
  /** @type {Column} */ rank;
  /** @type {Column} */ above;
  /** @type {Column} */ concept;
  /** @type {Evaluation} */ evaluation;
  /** @type {{ missing: string, rows: [number, number, number | null, number | null, number | null, string][] }} */ represented;

  constructor(content, number) {
    Object.assign(this, content);
    this.number = number;
    for (const name of [
      "status",
      "verdict",
      "rung",
      "labels",
      "above",
      "rank",
      "concept",
      "score",
      "z",
      "p",
      "q",
      "p_any",
      "critical",
      "null",
    ]) {
      this[name] = unpacked(content[name]);
    }
    this.climbed = content.climbed.map(([rung, q]) => [rung, unpacked(q)]);
    this.learned = new Map(content.learned.map(([concept, rung, q]) => [concept, { rung, q }]));
    this.evaluation = new Evaluation(content.evaluation);
    this.rate = Math.fround(content.rate); // columns are of this precision: what equals q must not exceed it
    // Labels stand with the strongest evidence first; the first concept of a neuron is the one of rank 1, by score.
    this.first = starts(this.labels);
    this.count = this.labels.length;
    this.leading = Int32Array.from(this.labels, (_, neuron) => this.labelOfRank(neuron, 1));
    this.offsets = starts(this.layers.map((one) => one.neurons));
    this.layerOf = new Uint16Array(this.count);
    this.layers.forEach((_, layer) => this.layerOf.fill(layer, this.offsets[layer], this.offsets[layer + 1]));
    this.significant = Uint8Array.from(this.verdict, (one) => Number(SIGNIFICANT.has(this.verdicts[one])));
    const packed = content.responses;
    this.response =
      packed &&
      later(() => ({
        bins: packed.bins,
        top: packed.top,
        counts: unpacked(packed.counts),
        low: unpacked(packed.low),
        high: unpacked(packed.high),
        activation: unpacked(packed.activation),
      }));
    this.image = content.shown && later(() => unpacked(content.shown.image));
  }

  get name() {
    return [this.letter ? `${this.letter}: ${this.target}` : this.target, this.apart].filter(Boolean).join(" – ");
  }

  layer(neuron) {
    return this.layers[this.layerOf[neuron]].name;
  }

  place(neuron) {
    return neuron - this.offsets[this.layerOf[neuron]];
  }

  // What a unit is called; empty for neurons, and for units without names.
  unit(neuron) {
    return this.layers[this.layerOf[neuron]].units[this.place(neuron)] ?? "";
  }

  address(neuron) {
    return `#neuron/${this.number}/${this.layerOf[neuron]}/${this.place(neuron)}`;
  }

  // Whether a neuron counts as named: significant where significance was computed, with a label where it was not.
  named(neuron) {
    return this.judged ? this.significant[neuron] === 1 : this.labels[neuron] > 0;
  }

  term(label) {
    return label < 0 ? "" : CONCEPTS.term[this.concept[label]];
  }

  category(label) {
    return label < 0 ? "" : CONCEPTS.category[this.concept[label]];
  }

  broad(label) {
    return label < 0 ? "" : CONCEPTS.broad_category[this.concept[label]];
  }

  labelOfRank(neuron, rank) {
    for (let at = this.first[neuron]; at < this.first[neuron + 1]; at += 1) if (this.rank[at] === rank) return at;
    return -1;
  }

  // The first label of a neuron, -1 where it has none.
  best(neuron) {
    return this.leading[neuron];
  }

  // Whether a label of a neuron is above chance: these stand first.
  isAbove(neuron, label) {
    return label - this.first[neuron] < this.above[neuron];
  }

  // The highest rung of significance that the first label passes; empty where none.
  rungOf(neuron) {
    return this.rungs[this.rung[neuron]];
  }

  verdictOf(neuron) {
    const status = this.statuses[this.status[neuron]];
    return this.verdicts[this.verdict[neuron]] || (status === "labelled" ? "not computed" : status);
  }
}

CONTENT.probes.forEach((probe, number) => Object.assign(probe, { number }));
const RUNS = CONTENT.runs.map((one, number) => new Run(one, number));
const SEVERAL = RUNS.length > 1;
const RUNG_NAMES = Object.keys(CONTENT.rungs);
const RESAMPLED = RUNS.some((run) => run.evaluation.stability);
const NAMED = RUNS.some((run) => run.layers.some((one) => one.units.length));
const CLIMBED = RUNS.some((run) => run.climbed.length);

// Whether a name holds every word that was typed; a plural finds its singular.
function holding(text) {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((one) => (one.length > 3 ? one.replace(/s$/, "") : one));
  return (name) => {
    const known = name.toLowerCase();
    return words.every((word) => known.includes(word));
  };
}

// Which concepts hold every word that was typed.
function matching(text) {
  const holds = holding(text);
  return Uint8Array.from(CONCEPTS.term, (term) => Number(holds(term)));
}

function verdict(run, neuron) {
  const word = run.verdictOf(neuron);
  return term(word, word, `verdict v-${word.replaceAll(" ", "-")}`);
}

function conceptOptions(id) {
  return h(
    "datalist",
    { id },
    [...new Set(CONCEPTS.term)].sort(alphabet.compare).map((one) => h("option", { value: one })),
  );
}
