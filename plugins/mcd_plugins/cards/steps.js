// @ts-check
// What stands below a card: in the first step a field for one's own words, in the second the choices.

// A field with what is wrong about it, which is announced.
function wordsField(card, number, most, changed) {
  const problem = h("p", { class: "problem", id: "problem", role: "alert" });
  const field = h("textarea", {
    id: "words",
    rows: 4,
    maxlength: most,
    "aria-describedby": "problem",
    value: card.words,
    oninput: () => changed(field.value),
  });
  return h(
    "div",
    {},
    h("label", { for: "words" }, `What do the images of card ${number} have in common?`),
    field,
    problem,
  );
}

function radios(name, legend, options, chosen, changed) {
  const row = ([value, text]) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => changed(value) }),
      h("span", {}, text),
    );
  return h("fieldset", { class: name }, h("legend", {}, legend), options.map(row));
}

function choiceFields(study, card, options, changed) {
  const sure = radios(
    "sure",
    "How sure are you?",
    study.confidence.map((one, at) => [
      String(one),
      at === 0 ? `${one} a guess` : at === study.confidence.length - 1 ? `${one} certain` : String(one),
    ]),
    card.sure,
    (value) => changed({ sure: value }),
  );
  const offered = [
    ...options.map((option, at) => [study.letters[at], option]),
    [study.none, "None of these"],
    [study.cannot, "Cannot say"],
  ];
  const choice = radios("choice", "Which fits best?", offered, card.choice, (value) => {
    changed({ choice: value });
    sure.hidden = value === study.cannot;
  });
  sure.hidden = card.choice === study.cannot;
  return h(
    "div",
    {},
    h("p", { class: "own" }, h("b", {}, "Your words: "), card.words || "(none)"),
    choice,
    sure,
    h("p", { class: "problem", id: "problem", role: "alert" }),
  );
}

const press = (label, act, kind = null) => h("button", { type: "button", class: kind, onclick: act }, label);
