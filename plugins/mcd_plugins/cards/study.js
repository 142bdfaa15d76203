// @ts-check
// The study of one reader: who it is, all cards in own words, then, with the words locked, all choices, then the sheet.

class Study {
  constructor() {
    this.study = JSON.parse(document.getElementById("study").textContent);
    this.sections = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("section.card")]);
    this.count = this.sections.length;
    this.sheet = new AnswerSheet(this.study);
    this.kept = new Kept(this.study.set);
    this.viewer = new Viewer();
    this.panel = document.getElementById("panel");
    this.about = document.getElementById("about");
    this.bar = h("div", { class: "bar", hidden: true });
    this.status = h("p", { class: "hidden", role: "status" });
    this.answers = null;
    this.unsaved = false;
    document.documentElement.classList.add("form");
    document.querySelector("main").prepend(this.bar, this.status);
    for (const one of this.sections) this.enlargeable(one);
    addEventListener("storage", (event) => this.elsewhere(event));
    addEventListener("beforeunload", (event) => {
      if (this.unsaved && !this.kept.works) event.preventDefault();
    });
    this.start();
  }

  enlargeable(section) {
    const images = [...section.querySelectorAll("img")];
    images.forEach((image, at) => {
      const open = h("button", {
        type: "button",
        class: "image",
        "aria-label": `Enlarge: ${image.alt}`,
        onclick: () => this.viewer.open(images, at, open),
      });
      image.replaceWith(open);
      open.append(image);
    });
  }

  // Shows a card with something below it, or something alone, and nothing else.
  show(at, heading, ...content) {
    this.about.hidden = this.answers !== null;
    this.sections.forEach((one, number) => (one.hidden = number !== at));
    this.panel.hidden = false;
    const place = at === null ? document.querySelector("main") : this.sections[at];
    this.panel.replaceChildren(...(heading ? [h("h2", { tabindex: "-1" }, heading)] : []), ...content);
    if (at === null) this.status.after(this.panel);
    else place.append(this.panel);
    this.drawBar();
    if (!this.started) return;
    place.querySelector("h2").focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  drawBar() {
    this.bar.hidden = this.answers === null;
    if (this.answers === null) return;
    const { cards, locked } = this.answers;
    const done = cards.filter((one) => (locked ? this.answered(one) : one.words.trim())).length;
    const step = locked ? "Step 2 of 2: choices" : "Step 1 of 2: in your own words";
    this.bar.replaceChildren(
      h("p", {}, h("b", {}, step), ` · ${done} of ${plural(this.count, "card")} ${locked ? "answered" : "described"}`),
      h("progress", { max: this.count, value: done, "aria-label": step }),
      h("p", { class: "who" }, `Reader ${this.answers.reader}`, press("Save sheet", () => this.save())),
      this.kept.works
        ? ""
        : h("p", { class: "notice" }, "This browser keeps no answers: save the sheet before you close this page."),
    );
  }

  start(problem = "") {
    this.answers = null;
    const name = h("input", { id: "reader", maxlength: 40, autocomplete: "off", "aria-describedby": "problem" });
    const file = h("input", { id: "file", type: "file", accept: ".csv,text/csv", onchange: () => this.resume(file, name) });
    this.show(
      null,
      "Who are you?",
      h(
        "form",
        {
          onsubmit: (event) => {
            event.preventDefault();
            this.enter(tidy(name.value));
          },
        },
        h("label", { for: "reader" }, "Your name or number, which goes into your answer sheet"),
        name,
        h("p", { class: "problem", id: "problem", role: "alert" }, problem),
        h("div", { class: "buttons" }, h("button", { class: "go" }, "Start")),
      ),
      h("label", { for: "file" }, "Or go on with a sheet that you saved before"),
      file,
      h(
        "p",
        { class: "hint" },
        this.kept.works
          ? "What you answer stays in this browser, on this machine. Nothing is sent anywhere."
          : "This browser keeps no answers of pages like this one: save your sheet before you close it. Nothing is sent.",
      ),
    );
    this.started = true;
  }

  enter(reader) {
    if (!reader) return this.problem("Type a name or a number.", "reader");
    const known = this.kept.answers(reader, this.count);
    if (!known) return this.begin({ reader, locked: false, cards: this.blank() });
    const described = known.cards.filter((one) => one.words.trim()).length;
    return this.show(
      null,
      `Are you ${known.reader}?`,
      h("p", {}, `This browser keeps answers of ${known.reader}: ${described} of ${plural(this.count, "card")} described.`),
      h(
        "div",
        { class: "buttons" },
        press("I am somebody else", () => this.start()),
        press(`Go on as ${known.reader}`, () => this.begin(this.kept.answers(reader, this.count) ?? known), "go"),
      ),
    );
  }

  blank() {
    return this.sections.map(() => ({ words: "", choice: "", sure: "", written: "" }));
  }

  async resume(file, name) {
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.files[0].arrayBuffer());
      const { reader, cards } = this.sheet.read(text, this.count);
      const who = tidy(reader) || tidy(name.value);
      if (!who) throw new Error("The sheet does not say whose it is: type your name or number first.");
      if (this.kept.answers(who, this.count)) {
        throw new Error(`This browser keeps answers of ${who} already: type that name to go on with them.`);
      }
      const locked = cards.some((one) => one.choice || one.written);
      this.begin({ reader: who, locked, cards });
      this.keep();
    } catch (error) {
      file.value = "";
      this.problem(error instanceof TypeError ? "This file is not UTF-8: save it as CSV UTF-8." : error.message, "file");
    }
  }

  // What is kept already is not written again: another window may be further by then.
  begin(answers) {
    this.answers = answers;
    const { cards, locked } = answers;
    if (locked) this.kept.sees(answers.reader);
    const next = cards.findIndex((one) => (locked ? !this.answered(one) : !one.words.trim()));
    if (next < 0) this.end();
    else this.card(next);
  }

  answered(card) {
    return card.choice === this.study.cannot || (card.choice !== "" && card.sure !== "");
  }

  problem(text, field) {
    document.getElementById("problem").textContent = text;
    const wrong = document.getElementById(field) ?? this.panel.querySelector(`[name="${field}"]`);
    wrong?.setAttribute("aria-invalid", "true");
    if (wrong instanceof HTMLElement) wrong.focus();
  }

  card(at) {
    if (this.answers.locked) this.choices(at);
    else this.words(at);
  }

  turns(at, next) {
    return h(
      "div",
      { class: "buttons" },
      at > 0 ? press("Back", () => this.card(at - 1)) : "",
      press(at + 1 < this.count ? "Next card" : "All cards", next, "go"),
    );
  }

  words(at) {
    const card = this.answers.cards[at];
    const changed = (value) => {
      if (this.answers.locked) return;
      card.words = value;
      this.keep();
      this.drawBar();
    };
    const next = () => {
      if (!card.words.trim()) this.problem("Write what they have in common; if you see nothing, write that.", "words");
      else if (at + 1 < this.count) this.card(at + 1);
      else this.end();
    };
    this.show(at, "", wordsField(card, at + 1, this.study.most, changed), this.turns(at, next));
  }

  choices(at) {
    const card = this.answers.cards[at];
    const changed = (part) => {
      Object.assign(card, part);
      this.keep();
      this.drawBar();
    };
    const next = () => {
      if (!card.choice) this.problem("Choose one; where you have no answer, choose Cannot say.", "choice");
      else if (!this.answered(card)) this.problem("Say how sure you are.", "sure");
      else if (at + 1 < this.count) this.card(at + 1);
      else this.end();
    };
    this.show(at, "", choiceFields(this.study, card, this.offered()[at], changed), this.turns(at, next));
  }

  // Unpacked only when the words are locked.
  offered() {
    const bytes = Uint8Array.from(atob(this.study.choices), (one) => one.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  end() {
    if (this.answers.locked) this.finished();
    else this.lockable();
  }

  lockable() {
    const missing = this.answers.cards.findIndex((one) => !one.words.trim());
    if (missing >= 0) return this.card(missing);
    return this.show(
      null,
      "All cards are described",
      h("p", {}, "Next come the choices. From then on your words stay as they are: change them now if you want to."),
      h(
        "ol",
        { class: "all" },
        this.answers.cards.map((one, at) => h("li", {}, h("span", {}, one.words), press(`Change card ${at + 1}`, () => this.card(at)))),
      ),
      h("div", { class: "buttons" }, press("Lock my words and show the choices", () => this.lock(), "go")),
    );
  }

  lock() {
    const { answers, study } = this;
    const written = this.kept.hasSeen(answers.reader) ? study.after : study.before;
    for (const one of answers.cards) one.written = written;
    answers.locked = true;
    this.kept.sees(answers.reader);
    this.keep();
    this.card(0);
  }

  finished() {
    const missing = this.answers.cards.findIndex((one) => !this.answered(one));
    if (missing >= 0) return this.card(missing);
    const remove = press("Remove my answers from this browser", () => {
      if (remove.textContent.startsWith("Remove my")) remove.textContent = "Really remove: the saved sheet is all that is left";
      else {
        this.kept.remove(this.answers.reader);
        this.start();
      }
    });
    return this.show(
      null,
      "All cards are answered",
      h("p", {}, "Save your answer sheet and send the file to whoever runs the study. Thank you."),
      h("div", { class: "buttons" }, press("Save my answer sheet", () => this.save(), "go")),
      h(
        "div",
        { class: "buttons" },
        press("Back to the cards", () => this.card(0)),
        press("Another reader", () => this.start()),
        remove,
      ),
    );
  }

  save() {
    this.sheet.save(this.answers);
    this.unsaved = false;
    this.status.textContent = "The answer sheet is saved with your downloads.";
  }

  // Another tab may have gone further: what is locked there is not opened again here.
  keep() {
    const { answers, kept } = this;
    const other = kept.answers(answers.reader, this.count);
    if (other?.locked && !answers.locked) return this.begin(other);
    this.unsaved = true;
    return kept.put(answers);
  }

  elsewhere(event) {
    if (!this.answers || event.key !== this.kept.name("answers", this.answers.reader)) return;
    const found = this.kept.answers(this.answers.reader, this.count);
    if (found) this.begin(found);
    else this.start("The answers were removed in another window.");
  }
}

const tidy = (name) => name.normalize("NFC").replace(/[\s\p{C}]+/gu, " ").trim();

new Study();
