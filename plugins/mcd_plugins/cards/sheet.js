// @ts-check
// Answer sheets: written like those of mcd, read as spreadsheets save them.

// As mcd.plugins.unguarded.
const GUARDED = /^'(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])|(?<=[;\t\r\n])'(?='*[=+\-@\uff1d\uff0b\uff0d\uff20])/g;

const unguarded = (text) => text.replace(GUARDED, "");

// Rows of cells. A spreadsheet separates cells by what its language prefers.
function csvRows(text) {
  const head = text.split("\n", 1)[0];
  const separator = [",", ";", "\t"].reduce((best, one) =>
    head.split(one).length > head.split(best).length ? one : best,
  );
  const rows = [];
  let [row, cell, quoted] = [[], "", false];
  const end = (ofRow) => {
    row.push(cell);
    cell = "";
    if (!ofRow) return;
    rows.push(row);
    row = [];
  };
  for (let at = 0; at < text.length; at += 1) {
    const one = text[at];
    if (quoted && one === '"' && text[at + 1] === '"') cell += text[(at += 1)];
    else if (one === '"' && (quoted || cell === "")) quoted = !quoted;
    else if (quoted) cell += one;
    else if (one === separator) end(false);
    else if (one === "\n" || one === "\r") {
      if (one === "\r" && text[at + 1] === "\n") at += 1;
      end(true);
    } else cell += one;
  }
  if (cell !== "" || row.length) end(true);
  return rows.filter((cells) => cells.some((one) => one.trim() !== ""));
}

// Turns answers into a sheet and back. An error's message is for the reader.
class AnswerSheet {
  constructor(study) {
    this.study = study;
  }

  rows(answers) {
    const { study } = this;
    return answers.cards.map((card, at) => {
      const known = {
        schema: study.schema,
        set: study.set,
        reader: answers.reader,
        card: String(at + 1),
        free_text: card.words.trim(),
        choice: card.choice,
        confidence: card.choice === study.cannot ? "" : card.sure,
        free_text_written: card.written,
      };
      return study.columns.map((name) => known[name]);
    });
  }

  save(answers) {
    const reader = answers.reader.replace(/[^\p{L}\p{N}]+/gu, "-");
    download(`answers-${this.study.set}-${reader}`, this.study.columns, this.rows(answers));
  }

  read(text, count) {
    const [head, ...rows] = csvRows(text.replace(/^\ufeff/, ""));
    const names = (head ?? []).map((one) => one.trim().toLowerCase());
    for (const name of ["set", "card", "free_text", "choice", "confidence"]) {
      const times = names.filter((one) => one === name).length;
      if (times !== 1) {
        throw new Error(`This is not an answer sheet of cards: it has ${times ? "several columns" : "no column"} ${name}.`);
      }
    }
    const cards = Array.from({ length: count }, () => ({ words: "", choice: "", sure: "", written: "" }));
    const readers = new Set();
    const seen = new Set();
    for (const cells of rows) {
      const row = Object.fromEntries(names.map((name, at) => [name, unguarded((cells[at] ?? "").trim())]));
      const number = this.number(row, count);
      if (seen.has(number)) throw new Error(`Card ${number} is in this sheet twice.`);
      seen.add(number);
      readers.add(row.reader ?? "");
      cards[number - 1] = this.card(row, number);
    }
    if (readers.size > 1) throw new Error("This sheet is of several readers.");
    return { reader: [...readers][0] ?? "", cards };
  }

  number(row, count) {
    const { study } = this;
    const [, newer] = /^mcd\.answers\/(\d+)$/.exec(row.schema ?? "") ?? [];
    if (newer && Number(newer) > Number(study.schema.split("/")[1])) {
      throw new Error("This sheet was made by a newer mcd than these cards.");
    }
    if (row.set !== study.set) {
      throw new Error(`This sheet belongs to the set of cards '${row.set}', and these are set '${study.set}'.`);
    }
    if (!/^[1-9]\d*$/.test(row.card) || Number(row.card) > count) throw new Error(`There is no card '${row.card}'.`);
    return Number(row.card);
  }

  card(row, number) {
    const { study } = this;
    const choice = row.choice.toLowerCase();
    if (choice && ![...study.letters, study.none, study.cannot].includes(choice)) {
      throw new Error(`The choice '${row.choice}' of card ${number} is not one of its choices.`);
    }
    if (row.confidence && !study.confidence.map(String).includes(row.confidence)) {
      throw new Error(`The confidence '${row.confidence}' of card ${number} is none of ${study.confidence.join(", ")}.`);
    }
    const written = row.free_text_written ?? "";
    if (!["", study.before, study.after].includes(written)) {
      throw new Error(`'${written}' of card ${number} does not say when its free text was written.`);
    }
    return { words: row.free_text, choice, sure: row.confidence, written };
  }
}
