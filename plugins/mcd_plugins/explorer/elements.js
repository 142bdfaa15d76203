// @ts-check
// Elements, numbers as text, files to download. Text from the run goes through textContent only.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== ""));
  return element;
}

const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const count = (number) => number.toLocaleString("en-GB");
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
const share = (part, whole) => (whole ? `${Math.round((100 * part) / whole)}%` : "–");

function decimal(value, digits = 2) {
  return Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "–";
}

function significant(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const text =
    Math.abs(value) >= 1e-4 || value === 0 ? Number(value.toPrecision(digits)).toString() : value.toExponential(1);
  return text.replace("-", "−");
}

// What starts like a formula, or does so after a separator of some spreadsheets, would be one; numbers may be negative.
// As mcd.plugins.csv_text.
const NUMBER = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?`;
const FORMULA = new RegExp(
  String.raw`^(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])(?!${NUMBER}$)` +
    String.raw`|(?<=[;\t\r\n])(?='*[=+\-@\uff1d\uff0b\uff0d\uff20])(?!${NUMBER}(?:[;\t\r\n]|$))`,
  "g",
);

function field(value) {
  if (value === null || value === undefined || (typeof value === "number" && !Number.isFinite(value))) return "";
  const text = typeof value === "number" ? String(Number(value.toPrecision(7))) : String(value);
  const safe = typeof value === "string" ? text.replace(FORMULA, "'") : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download(name, header, rows) {
  const text = [header, ...rows].map((row) => row.map(field).join(",")).join("\n");
  const address = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
  const link = h("a", { href: address, download: `${name}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

// A labelled control. Its id ties label and control together.
function labelled(label, control, extra = "") {
  return h("div", { class: `field ${extra}`.trim() }, h("label", { for: control.id }, label), control);
}

function choice(id, options, chosen, changed) {
  const select = h("select", { id, onchange: () => changed(select.value) });
  for (const [value, text] of options) select.append(h("option", { value, selected: value === chosen }, text));
  return select;
}

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
      return sign * (typeof a === "string" ? a.localeCompare(b, "en") : a - b) || i - j;
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
