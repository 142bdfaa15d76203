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
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false && one !== ""));
  return element;
}

const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const count = (number) => number.toLocaleString("en-GB");
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

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
