// @ts-check
// A top image enlarged: at full resolution where the page has it, the map over it, moved and zoomed.

const originals = later(() => read("originals"));
const STEP = 1.25;

const viewer = {
  // What is shown: {id, probe, image, copy, alt, map} each, and which of them.
  shots: [],
  at: 0,
  view: { scale: 1, x: 0, y: 0 },
  /** @type {Map<number, PointerEvent>} */ fingers: new Map(),
  opacity: 50,
  mapped: true,
  moved: false, // whether it was moved or zoomed since it was fitted

  get dialog() {
    return /** @type {HTMLDialogElement} */ (document.getElementById("viewer"));
  },

  // The small copy of a shot as a button that enlarges it.
  opener(shots, at, picture) {
    return h(
      "button",
      { type: "button", class: "enlarge", onclick: () => this.show(shots, at) },
      picture,
      h("span", { class: "hidden" }, `Enlarge image ${at + 1}`),
    );
  },

  show(shots, at) {
    this.shots = shots;
    this.turn(at);
    if (!this.dialog.open) this.dialog.showModal();
    this.fit();
    this.stage.focus();
  },

  close() {
    if (this.dialog.open) this.dialog.close();
  },

  // Columns and rows of what is shown: those of the image, or of what the network saw where its place is not known.
  size({ probe, image, map }) {
    if (map && !map.part) return [map.width, map.height];
    probe.shaped ??= unpacked(probe.shapes);
    return [probe.shaped[2 * image + 1], probe.shaped[2 * image]];
  },

  turn(at) {
    const moved = this.stage?.contains(document.activeElement);
    this.at = at;
    const shot = this.shots[at];
    this.resolution = h("p", { class: "resolution", role: "status" });
    this.sheet = h("div", { class: "sheet" }, this.picture(shot), shot.map ? this.overlay(shot) : "");
    const [width, height] = this.size(shot);
    this.sheet.style.width = `${width}px`;
    this.sheet.style.height = `${height}px`;
    this.stage = this.listening(
      h(
        "div",
        {
          class: "stage",
          role: "group",
          tabindex: "0",
          "aria-label": "Image. Arrow keys move it, plus and minus zoom, 0 fits it, 1 shows its pixels.",
        },
        this.sheet,
      ),
    );
    this.dialog.replaceChildren(
      h(
        "header",
        {},
        h("h2", { id: "viewer-title" }, `Image ${at + 1} of ${this.shots.length} `, h("code", {}, shot.id)),
        h("button", { type: "button", class: "plain", onclick: () => this.close() }, "Close"),
      ),
      this.stage,
      h("div", { class: "tools" }, this.mapTools(shot), this.zoomTools(), this.turnTools()),
      this.resolution,
      shot.map ? maps.legend(shot.map) : "",
    );
    if (moved) this.stage.focus();
  },

  picture({ probe, image, copy, alt, map }) {
    const small = `data:image/webp;base64,${map && !map.part ? map.picture : copy}`;
    const kept = originals()[probe.number]?.[image] ?? "";
    const full = kept && !(map && !map.part) ? (kept.includes(".") ? kept : `data:image/webp;base64,${kept}`) : "";
    const img = h("img", { src: full || small, alt, draggable: "false" });
    img.addEventListener("load", () => {
      this.say(img, img.src === small ? "" : full, map);
      if (!this.moved) this.fit(); // what is said may have taken some of the room
    });
    img.addEventListener("error", () => {
      if (img.src !== small) img.src = small; // the folder is no longer beside the page
    });
    return img;
  },

  // Which resolution is shown, and where there is more.
  say(img, full, map) {
    const [width, height] = this.size(this.shots[this.at]);
    const shown = `${img.naturalWidth} × ${img.naturalHeight} pixels`;
    if (map && !map.part) this.resolution.textContent = `What the network saw, ${shown}: where it lies in the image is not known.`;
    else if (img.naturalWidth === width && img.naturalHeight === height)
      this.resolution.textContent = `Full resolution: ${shown}, in 8 bits.`;
    else
      this.resolution.textContent =
        `A copy of ${shown}; the image has ${width} × ${height}. ` + (full ? "" : this.lacking());
  },

  lacking() {
    if (CONTENT.full === "off") return "This page was made without full resolution (--reporter-arg full=page).";
    const name = originals()[this.shots[this.at].probe.number]?.[this.shots[this.at].image];
    if (name) return "It is in the folder explorer-images, which is not beside this page.";
    return CONTENT.full === "page"
      ? "The page had no room for it at full resolution (--reporter-arg full=folder)."
      : "The folder had no room for it at full resolution (--reporter-arg folder_megabytes=…).";
  },

  overlay(shot) {
    const { map, id } = shot;
    const [width, height] = this.size(shot);
    const [left, top, wide, tall] = map.part ?? [0, 0, width, height];
    const [across, down] = [Math.abs(wide) / map.columns, tall / map.rows];
    const column = (at) => (wide < 0 ? map.columns - 1 - at : at); // mirrored where the network saw it so
    const cells = Array.from(map.values, (value, at) =>
      s("rect", {
        x: left + column(at % map.columns) * across,
        y: top + Math.floor(at / map.columns) * down,
        width: across,
        height: down,
        fill: maps.colour(value),
      }),
    );
    this.map = s(
      "svg",
      {
        class: "over",
        viewBox: `0 0 ${width} ${height}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": `The map over image ${id} shows where the neuron responds: ${maps.peak(map)} of what the network saw.`,
      },
      cells,
    );
    this.lay();
    return this.map;
  },

  lay() {
    this.map.style.opacity = String(this.opacity / 100);
    this.map.style.visibility = this.mapped ? "visible" : "hidden";
  },

  mapTools({ map }) {
    if (!map) return h("span", { class: "hint" }, "No map of this image");
    const over = h("input", {
      id: "v-map",
      type: "checkbox",
      checked: this.mapped,
      onchange: () => {
        this.mapped = over.checked;
        this.lay();
      },
    });
    const opacity = h("input", {
      id: "v-opacity",
      type: "range",
      min: "0",
      max: "100",
      value: String(this.opacity),
      oninput: () => {
        this.opacity = Number(opacity.value);
        this.lay();
      },
    });
    return h(
      "span",
      { class: "group" },
      over,
      h("label", { for: "v-map" }, "Map"),
      h("label", { for: "v-opacity" }, "Opacity"),
      opacity,
    );
  },

  tool(name, title, act) {
    return h(
      "button",
      { type: "button", class: "tool", onclick: act },
      h("span", { "aria-hidden": "true" }, name),
      h("span", { class: "hidden" }, title),
    );
  },

  zoomTools() {
    return h(
      "span",
      { class: "group" },
      this.tool("−", "Zoom out", () => this.zoom(1 / STEP)),
      this.tool("+", "Zoom in", () => this.zoom(STEP)),
      this.tool("Fit", "Fit the image into the window", () => this.fit()),
      this.tool("1:1", "One pixel of the image for one of the screen", () => this.zoom(1 / this.view.scale)),
    );
  },

  turnTools() {
    const to = (name, title, at) => {
      const button = this.tool(name, title, () => {
        this.turn(at);
        this.fit();
        this.stage.focus();
      });
      button.disabled = !(at in this.shots);
      return button;
    };
    return h("span", { class: "group" }, to("‹", "Previous image", this.at - 1), to("›", "Next image", this.at + 1));
  },

  move() {
    const { scale, x, y } = this.view;
    this.sheet.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  },

  fit() {
    const [width, height] = this.size(this.shots[this.at]);
    const { clientWidth, clientHeight } = this.stage;
    this.moved = false;
    const scale = Math.min(clientWidth / width, clientHeight / height);
    this.view = { scale, x: (clientWidth - width * scale) / 2, y: (clientHeight - height * scale) / 2 };
    this.move();
  },

  // Zoom about a point of the stage, its middle where none is given.
  zoom(by, at = [this.stage.clientWidth / 2, this.stage.clientHeight / 2]) {
    const { scale, x, y } = this.view;
    const next = Math.min(Math.max(scale * by, 0.02), 40);
    const grown = next / scale;
    this.moved = true;
    this.view = { scale: next, x: at[0] - (at[0] - x) * grown, y: at[1] - (at[1] - y) * grown };
    this.move();
  },

  pan(across, down) {
    this.moved = true;
    this.view.x += across;
    this.view.y += down;
    this.move();
  },

  key(event) {
    const far = 60;
    const acts = {
      ArrowLeft: () => this.pan(far, 0),
      ArrowRight: () => this.pan(-far, 0),
      ArrowUp: () => this.pan(0, far),
      ArrowDown: () => this.pan(0, -far),
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.fit(),
      1: () => this.zoom(1 / this.view.scale),
    };
    if (!(event.key in acts) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  },

  // One finger moves, two zoom about the point between them.
  drag(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const others = [...this.fingers.values()].filter((one) => one.pointerId !== event.pointerId);
    this.fingers.set(event.pointerId, event);
    if (!others.length) return this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    const [other] = others;
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const { left, top } = this.stage.getBoundingClientRect();
    const middle = [(event.clientX + other.clientX) / 2 - left, (event.clientY + other.clientY) / 2 - top];
    this.zoom(apart(event) / Math.max(apart(before), 1), middle);
  },

  listening(stage) {
    const lift = (event) => this.fingers.delete(event.pointerId);
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, event);
    });
    stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, lift);
    stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const { left, top } = stage.getBoundingClientRect();
        this.zoom(Math.exp(-event.deltaY / 400), [event.clientX - left, event.clientY - top]);
      },
      { passive: false },
    );
    return stage;
  },
};
