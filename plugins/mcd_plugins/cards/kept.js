// @ts-check
// Answers of each reader, kept by the browser until they are removed. Some browsers keep nothing for files.

class Kept {
  constructor(set) {
    this.prefix = `mcd-cards/${set}/`;
    this.works = true;
    this.shown = new Set(); // to whom this page has shown the choices
    this.attempt(() => {
      localStorage.setItem(`${this.prefix}try`, "");
      localStorage.removeItem(`${this.prefix}try`);
    });
  }

  // Private windows, settings and full disks make any use of it fail.
  attempt(use) {
    try {
      return use();
    } catch {
      this.works = false;
      return null;
    }
  }

  name(kind, reader) {
    return `${this.prefix}${kind}/${reader.toLowerCase()}`;
  }

  answers(reader, count) {
    const text = this.attempt(() => localStorage.getItem(this.name("answers", reader)));
    try {
      const found = JSON.parse(text);
      return found.cards.length === count ? found : null;
    } catch {
      return null;
    }
  }

  put(answers) {
    this.attempt(() => localStorage.setItem(this.name("answers", answers.reader), JSON.stringify(answers)));
  }

  remove(reader) {
    this.attempt(() => localStorage.removeItem(this.name("answers", reader)));
  }

  // That somebody has seen the choices outlasts the answers: text that is written afterwards is not blind.
  hasSeen(reader) {
    const name = this.name("seen", reader);
    return this.shown.has(name) || this.attempt(() => localStorage.getItem(name)) !== null;
  }

  sees(reader) {
    const name = this.name("seen", reader);
    this.shown.add(name);
    this.attempt(() => localStorage.setItem(name, "1"));
  }
}
