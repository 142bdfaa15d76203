// @ts-check
// Controls that a view is filtered with.

// A labelled control. Its id ties label and control together.
function labelled(label, control, extra = "") {
  return h("div", { class: `field ${extra}`.trim() }, h("label", { for: control.id }, label), control);
}

function choice(id, options, chosen, changed) {
  const select = h("select", { id, onchange: () => changed(select.value) });
  for (const [value, text] of options) select.append(h("option", { value, selected: value === chosen }, text));
  return select;
}
