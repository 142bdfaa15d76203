// @ts-check
// Differences of two runs with their intervals, as mcd compare gives them; without intervals where it gives none.

const MEAN_Z = "mean z"; // all other measures are shares
const MEASURES = ["significant", "mammographic", "not mammographic", MEAN_Z];
const LEVELS = { concept: "concept", category: "category", broad_category: "broad category" };

const differences = {
  get table() {
    return CONTENT.compared ?? { missing: "" };
  },

  // The rows of a run against the first; level is one of LEVELS, or layer.
  rows(run, level) {
    return (this.table.rows ?? [])
      .filter((one) => one[0] === run.number && one[1] === level)
      .map(([, , place, name, ...numbers]) => {
        const three = (at) => numbers.slice(at, at + 3).map((one) => one ?? NaN);
        const [of, ofOther] = numbers.slice(9);
        return { place: place === "(all)" ? "all layers" : place, name, sides: [three(0), three(3)], difference: three(6), of: [of, ofOther] };
      });
  },

  // The same from counts, where mcd compare gives nothing: without intervals.
  counted(name, counts, of) {
    const shares = counts.map((one, side) => (of[side] ? one / of[side] : NaN));
    return { place: name, name, sides: shares.map((one) => [one, NaN, NaN]), difference: [shares[1] - shares[0], NaN, NaN], of };
  },

  supported({ difference: [, low, high] }) {
    return low > 0 || high < 0;
  },

  // What decides comes first: differences that their interval supports, then large ones.
  evidence(row) {
    return Math.abs(row.difference[0]) + (this.supported(row) ? 1e6 : 0);
  },

  // A number with its interval, in per cent, or as z. A difference has a sign.
  text([value, low, high], z, sign = false) {
    if (!Number.isFinite(value)) return "–";
    const form = (one) => {
      const text = decimal(z ? one : 100 * one, z ? 2 : 1);
      return sign && one > 0 ? `+${text}` : text;
    };
    const unit = z ? "" : sign ? " points" : "%";
    return [form(value) + unit, Number.isFinite(low) ? h("small", {}, ` (${form(low)} to ${form(high)})`) : ""];
  },

  said(parts) {
    return [parts].flat().map((one) => one?.textContent ?? one).join("");
  },

  columns(runs, first, z) {
    const side = (at) => ({
      name: `side${at}`,
      title: `${runs[at].letter}: ${z ? "mean z" : "neurons"}`,
      term: z ? "mean z" : "share",
      number: true,
      value: (row) => row.sides[at][0],
      cell: (row) => [
        this.text(row.sides[at], z),
        z ? "" : h("small", { class: "count" }, `${count(Math.round(row.sides[at][0] * row.of[at]))} of ${count(row.of[at])}`),
      ],
    });
    return [
      ...first,
      {
        name: "difference",
        title: z ? "Difference" : "Difference, points",
        term: "difference",
        number: true,
        value: (row) => this.evidence(row),
        cell: (row) => this.text(row.difference, z, true),
        when: () => !this.table.missing,
      },
      side(0),
      side(1),
      {
        name: "supported",
        title: "Supported",
        narrow: false,
        value: (row) => Number(this.supported(row)),
        cell: (row) => (Number.isFinite(row.difference[1]) ? (this.supported(row) ? "yes" : "no, may be chance") : "no interval"),
        when: () => !this.table.missing,
      },
    ];
  },

  // The sentence above a table: the largest difference that its interval supports.
  headline(rows, runs, what, z = false) {
    if (this.table.missing) return "Shares only: these runs have no differences that could be supported.";
    if (!rows.some((row) => Number.isFinite(row.difference[1])))
      return `${CONTENT.chance.without}.`;
    const [best] = rows.filter((row) => this.supported(row)).sort((a, b) => this.evidence(b) - this.evidence(a));
    if (!best) return `No difference in ${what} is supported by its 95 % interval: each may be chance.`;
    const [a, b] = best.sides.map((one) => this.said(this.text([one[0], NaN, NaN], z)));
    return (
      `The largest difference in ${what} that its 95 % interval supports is ${MEASURES.includes(best.name) ? best.place : best.name}: ${a} in ` +
      `${runs[0].letter}, ${b} in ${runs[1].letter}, ${this.said(this.text(best.difference, z, true))}.`
    );
  },

  // What was measured is a column of the file, and its values are named for it.
  save(what, table, runs, key, measure = "significant") {
    const three = (title) => [title, `${title}_low`, `${title}_high`];
    const value = measure === MEAN_Z ? "mean_z" : "share";
    download(
      `compared-${what}`,
      [key, "measure", ...runs.flatMap((run) => [...three(`${run.letter}_${value}`), `${run.letter}_of`]), ...three("difference")],
      table.rows.map((row) => [
        key === "layer" ? row.place : row.name,
        measure,
        ...row.sides.flatMap((one, side) => [...one, row.of[side]]),
        ...row.difference,
      ]),
    );
  },
};
