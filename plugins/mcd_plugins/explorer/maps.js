// @ts-check
// Where in an image a neuron responds: its kept map, laid over what the network saw.

const maps = {
  // From lowest to highest: viridis, even to the eye and safe for the colour-blind.
  colours: ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"].map((one) =>
    [0, 2, 4].map((at) => parseInt(one.slice(at, at + 2), 16)),
  ),

  colour(value) {
    const at = (value / 255) * (this.colours.length - 1);
    const from = Math.min(Math.floor(at), this.colours.length - 2);
    const mixed = this.colours[from].map((low, part) => low + (at - from) * (this.colours[from + 1][part] - low));
    return `rgb(${mixed.map(Math.round).join(" ")})`;
  },

  layer(run, neuron) {
    return run.maps?.layers?.[run.layerOf[neuron]] ?? null;
  },

  // The map of a neuron in one of its top images, with the picture under it; null where there is none.
  of(run, neuron, rank, image) {
    const layer = this.layer(run, neuron);
    if (!layer || rank >= run.maps.count) return null;
    layer.open ??= { values: unpacked(layer.values), low: unpacked(layer.low), high: unpacked(layer.high) };
    run.maps.open ??= unpacked(run.maps.sizes);
    const { rows, columns, open } = layer;
    const at = run.place(neuron) * run.maps.count + rank;
    const picture = pictures()[run.maps.pictures][image];
    if (!picture || !Number.isFinite(open.low[at])) return null;
    const cells = rows * columns;
    const values = open.values.subarray(at * cells, (at + 1) * cells);
    const [width, height] = [run.maps.open[2 * image], run.maps.open[2 * image + 1]];
    run.maps.placed ??= unpacked(run.maps.parts);
    const place = run.maps.placed.subarray(4 * image, 4 * image + 4); // of what the network saw, in the image
    const part = Number.isFinite(place[0]) ? place : null;
    return { rows, columns, values, low: open.low[at], high: open.high[at], picture, width, height, part };
  },

  // In words, where the highest cell lies.
  peak({ rows, columns, values }) {
    const at = values.indexOf(Math.max(...values));
    const percent = (cell, cells) => Math.round((100 * (cell + 0.5)) / cells);
    return `highest at ${percent(at % columns, columns)} % from the left, ${percent(Math.floor(at / columns), rows)} % from the top`;
  },

  overlay(map, id) {
    const { rows, columns, values, picture, width, height } = map;
    const [wide, tall] = [width / columns, height / rows];
    return s(
      "svg",
      {
        class: "seen",
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": `The map over what the network saw of image ${id} shows where the neuron responds: ${this.peak(map)}.`,
      },
      s("image", { href: `data:image/webp;base64,${picture}`, width, height, preserveAspectRatio: "none" }),
      s(
        "g",
        { class: "map" },
        Array.from(values, (value, at) =>
          s("rect", {
            x: (at % columns) * wide,
            y: Math.floor(at / columns) * tall,
            width: wide,
            height: tall,
            fill: this.colour(value),
          }),
        ),
      ),
    );
  },

  legend({ low, high }) {
    return h(
      "span",
      { class: "scale" },
      h("span", {}, significant(low)),
      s(
        "svg",
        { viewBox: "0 0 64 6", preserveAspectRatio: "none", "aria-hidden": "true" },
        Array.from({ length: 32 }, (_, at) =>
          s("rect", { x: 2 * at, width: 2, height: 6, fill: this.colour((255 * at) / 31) }),
        ),
      ),
      h("span", {}, significant(high)),
    );
  },

  // A button that changes a picture of an image for one with the map on it, and back.
  toggle(map, picture, id, rank) {
    let shown = picture;
    const legend = this.legend(map);
    legend.hidden = true;
    const button = h(
      "button",
      {
        type: "button",
        class: "plain",
        "aria-pressed": "false",
        onclick: () => {
          const on = button.getAttribute("aria-pressed") !== "true";
          button.setAttribute("aria-pressed", String(on));
          const next = on ? this.overlay(map, id) : picture;
          shown.replaceWith(next);
          shown = next;
          legend.hidden = !on;
        },
      },
      "Show where",
      h("span", { class: "hidden" }, ` in image ${rank}`),
    );
    return [button, legend];
  },

  // What is to be known of the maps of a neuron's images.
  note(run, neuron) {
    if (!run.maps) return "Where in an image a neuron responds is not shown: this run keeps no maps of it (mcd dissect … --maps 12 does).";
    if (run.maps.note) return run.maps.note;
    if (!this.layer(run, neuron)) return "Where in an image it responds is not shown: this layer has no maps.";
    return (
      "“Show where” lays the neuron's output, low to high on a scale of each image's own, over what the network saw: " +
      "that may be a part of the image, or stretched. It shows what the output is there, not what of the image caused it."
    );
  },
};
