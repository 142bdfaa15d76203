// @ts-check
// Terms explained at their place: what page.html.j2 has of each is shown beside whatever asks for it.

// A button that explains a heading of a table; nothing where the glossary does not have it.
function about(title) {
  const key = CONTENT.glossary[title.toLowerCase()];
  return key
    ? h("button", { type: "button", class: "ask", popovertarget: `about-${key}`, "aria-label": `What is ${title}?` }, "?")
    : "";
}

// A term that explains itself when it is pressed.
function term(title, shown = title, extra = "") {
  const key = CONTENT.glossary[title.toLowerCase()];
  const kind = `term ${extra}`.trim();
  return key
    ? h("button", { type: "button", class: kind, popovertarget: `about-${key}` }, shown)
    : h("span", { class: extra || null }, shown);
}

// What a word means, to go on with inside of a sentence.
function meaning(word) {
  const said = document.querySelector(`#term-${CONTENT.glossary[word.toLowerCase()]} dd`)?.textContent;
  return said ? `${said[0].toLowerCase()}${said.slice(1)}`.replace(/\.$/, "") : "";
}

const explanations = {
  /** @type {HTMLElement | null} */ asked: null,

  // Below what asked for it, inside of the window; at the foot of a narrow one, where the style puts it.
  place(shown) {
    if (!this.asked || window.innerWidth < 704) return;
    const at = this.asked.getBoundingClientRect();
    const { width, height } = shown.getBoundingClientRect();
    const below = at.bottom + 6;
    shown.style.margin = "0";
    shown.style.inset = "auto";
    shown.style.left = `${Math.max(8, Math.min(at.left, window.innerWidth - width - 8))}px`;
    shown.style.top = `${below + height > window.innerHeight ? Math.max(8, at.top - height - 6) : below}px`;
  },

  listen() {
    document.addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? target.closest("[popovertarget]") : null;
      if (button instanceof HTMLElement) this.asked = button;
    });
    for (const one of document.querySelectorAll(".about")) {
      one.addEventListener("toggle", (event) => {
        if (/** @type {ToggleEvent} */ (event).newState === "open") this.place(one);
      });
      one.querySelector("a").addEventListener("click", () => /** @type {HTMLElement} */ (one).hidePopover());
    }
  },

  // The glossary at one of its entries.
  open(key) {
    const entry = document.getElementById(`term-${key}`);
    setTimeout(() => {
      entry?.focus({ preventScroll: true });
      entry?.scrollIntoView({ block: "center" });
    });
    return "Glossary";
  },
};
