// @ts-check
// A table that is sorted by any of its columns.

const alphabet = new Intl.Collator("en"); // made once: a call of localeCompare is several times slower

// A sorted table shown a page at a time: however many rows there are, the browser lays out one page.
class Table {
  // columns: {name, title, term that explains it where that is not the title, number, narrow, value(row) to sort by,
  // cell(row) to show}; empty says why there are no rows
  constructor(caption, columns, { sort, descending = true, perPage = 50, empty = () => "Nothing to show." }) {
    this.columns = columns;
    this.perPage = perPage;
    this.empty = empty;
    this.sort = sort;
    this.descending = descending;
    this.page = 0;
    this.rows = [];
    this.head = h("tr");
    this.body = h("tbody");
    this.where = h("span", { class: "where" });
    this.before = h("button", { type: "button", onclick: () => this.turn(-1) }, "Previous");
    this.after = h("button", { type: "button", onclick: () => this.turn(1) }, "Next");
    this.region = h(
      "div",
      { class: "scroll", role: "region", tabindex: "0", "aria-label": `Table: ${caption}` },
      h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, this.head), this.body),
    );
    this.pager = h(
      "nav",
      { class: "pager", "aria-label": `Pages of: ${caption}` },
      this.before,
      this.where,
      this.after,
    );
    this.nothing = h("p", { class: "nothing", hidden: true });
    this.element = h("div", {}, this.region, this.nothing, this.pager);
  }

  turn(by) {
    this.page += by;
    this.draw();
    this.region.scrollIntoView({ block: "nearest" });
  }

  show(rows) {
    this.rows = rows;
    this.page = 0;
    this.order();
    this.draw();
  }

  order() {
    const column = this.columns.find((one) => one.name === this.sort);
    if (!column) return;
    const sign = this.descending ? -1 : 1;
    const keyed = this.rows.map((row, at) => [column.value(row), at, row]);
    const empty = (key) => key === "" || key === null || key === undefined || Number.isNaN(key);
    keyed.sort(([a, i], [b, j]) => {
      if (empty(a) || empty(b)) return Number(empty(a)) - Number(empty(b)) || i - j; // what is not known comes last either way
      return sign * (typeof a === "string" ? alphabet.compare(a, b) : a - b) || i - j;
    });
    this.rows = keyed.map((one) => one[2]);
  }

  sortBy(column) {
    this.descending = this.sort === column.name ? !this.descending : Boolean(column.number);
    this.sort = column.name;
    this.page = 0;
    this.order();
    this.draw();
    this.head.querySelector('[aria-sort="ascending"] .sort, [aria-sort="descending"] .sort')?.focus();
  }

  shown() {
    return this.columns.filter((one) => !one.when || one.when());
  }

  draw() {
    const columns = this.shown();
    const kind = (column) =>
      [column.number && "number", column.narrow === false && "wide"].filter(Boolean).join(" ") || null;
    this.head.replaceChildren(
      ...columns.map((column) => {
        const sorted = this.sort === column.name && (this.descending ? "descending" : "ascending");
        const mark = h("span", { class: "mark", "aria-hidden": "true" }, sorted ? (this.descending ? "▾" : "▴") : "");
        return h(
          "th",
          { scope: "col", class: kind(column), "aria-sort": sorted || null },
          h(
            "span",
            { class: "head" },
            h("button", { type: "button", class: "sort", onclick: () => this.sortBy(column) }, column.title, mark),
            about(column.term ?? column.title),
          ),
        );
      }),
    );
    const start = this.page * this.perPage;
    const visible = this.rows.slice(start, start + this.perPage);
    this.body.replaceChildren(
      ...visible.map((row) =>
        h(
          "tr",
          {},
          columns.map((column) =>
            h(
              column.heads ? "th" : "td",
              { class: kind(column), scope: column.heads ? "row" : null },
              column.cell(row),
            ),
          ),
        ),
      ),
    );
    this.where.textContent = this.rows.length
      ? `${count(start + 1)}–${count(start + visible.length)} of ${count(this.rows.length)}`
      : "";
    this.before.disabled = this.page === 0;
    this.after.disabled = start + this.perPage >= this.rows.length;
    this.pager.hidden = this.rows.length <= this.perPage;
    this.nothing.textContent = this.rows.length ? "" : this.empty();
    this.nothing.hidden = this.rows.length > 0;
  }
}
