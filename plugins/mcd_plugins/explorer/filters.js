// @ts-check
// Controls that a view is filtered with.

// A labelled control. Its id ties label and control together; what the label means is explained beside it, by the term
// where the label is not one itself.
function labelled(label, control, { kind = "", term = label } = {}) {
  const named = h("span", { class: "head" }, h("label", { for: control.id }, label), about(term));
  return h("div", { class: `field ${kind}`.trim() }, named, control);
}

function choice(id, options, chosen, changed) {
  const select = h("select", { id, onchange: () => changed(select.value) });
  for (const [value, text] of options) select.append(h("option", { value, selected: value === chosen }, text));
  return select;
}
