// @ts-check
// One image, as large as wanted: by wheel, two fingers, buttons, keys. What is larger than the window scrolls.

const LARGEST = 8; // screen pixels for one that is stored

class Viewer {
  constructor() {
    this.image = h("img", { alt: "" });
    this.stage = h("div", { class: "stage", tabindex: "0", role: "region", "aria-label": "Enlarged image" }, this.image);
    this.note = h("p", { "aria-live": "polite" });
    const button = (label, act, says = label) =>
      h("button", { type: "button", onclick: act, "aria-label": says }, label);
    this.turns = [
      button("‹", () => this.turn(-1), "Previous image"),
      button("›", () => this.turn(1), "Next image"),
    ];
    this.dialog = /** @type {HTMLDialogElement} */ (
      h(
        "dialog",
        { class: "viewer", "aria-label": "Image", onkeydown: (event) => this.key(event), onclose: () => this.closed() },
        this.stage,
        this.note,
        h(
          "div",
          { class: "tools" },
          this.turns,
          button("−", () => this.zoom(1 / 1.5), "Smaller"),
          button("+", () => this.zoom(1.5), "Larger"),
          button("Fit", () => this.fit(), "Fit into the window"),
          button("1:1", () => this.scaleTo(1), "1:1, one screen pixel for each stored one"),
          button("Close", () => this.dialog.close()),
        ),
      )
    );
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("touchmove", (event) => this.pinch(event), { passive: false });
    this.stage.addEventListener("touchend", () => (this.apart = 0));
    this.stage.addEventListener("pointermove", (event) => this.drag(event));
    this.image.addEventListener("dragstart", (event) => event.preventDefault());
    addEventListener("resize", () => this.dialog.open && this.fitted && this.fit());
    document.body.append(this.dialog);
    this.scale = 1;
    this.apart = 0;
  }

  // images: those to turn over; opener: what gets the focus back
  open(images, at, opener) {
    this.images = images;
    this.opener = opener;
    this.dialog.showModal();
    this.show(at);
    this.stage.focus();
  }

  closed() {
    this.opener?.focus();
  }

  turn(by) {
    this.show((this.at + by + this.images.length) % this.images.length);
  }

  show(at) {
    this.at = at;
    const image = this.images[at];
    [this.image.src, this.image.alt] = [image.src, image.alt];
    for (const one of this.turns) one.hidden = this.images.length < 2;
    this.image.decode().then(() => this.fit(), () => this.fit());
  }

  fit() {
    this.describe();
    this.image.style.width = "0"; // what does not fit any more takes no room of the stage with its scroll bars
    const { clientWidth, clientHeight } = this.stage;
    this.scaleTo(Math.min(clientWidth / this.image.naturalWidth, clientHeight / this.image.naturalHeight));
    this.fitted = true;
  }

  zoom(by, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    this.scaleTo(this.scale * by, x, y);
  }

  // The point at x, y of the stage stays where it is.
  scaleTo(scale, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const { stage, image } = this;
    const before = this.scale;
    const fit = Math.min(1, stage.clientWidth / image.naturalWidth, stage.clientHeight / image.naturalHeight);
    const [left, top] = [(stage.scrollLeft + x) / before, (stage.scrollTop + y) / before];
    this.scale = Math.min(LARGEST, Math.max(fit / 2, scale));
    this.fitted = false;
    image.style.width = `${image.naturalWidth * this.scale}px`;
    stage.scrollLeft = left * this.scale - x;
    stage.scrollTop = top * this.scale - y;
    this.describe();
  }

  describe() {
    const { image, scale } = this;
    const size = `${image.naturalWidth} × ${image.naturalHeight} stored pixels`;
    this.note.textContent = `${image.alt} ${size}, shown at ${Math.round(100 * scale)} %`;
  }

  wheel(event) {
    event.preventDefault();
    const box = this.stage.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }

  pinch(event) {
    if (event.touches.length !== 2) return;
    event.preventDefault();
    const [one, other] = event.touches;
    const apart = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const box = this.stage.getBoundingClientRect();
    const [x, y] = [(one.clientX + other.clientX) / 2 - box.left, (one.clientY + other.clientY) / 2 - box.top];
    if (this.apart) this.zoom(apart / this.apart, x, y);
    this.apart = apart;
  }

  drag(event) {
    if (event.pointerType !== "mouse" || event.buttons !== 1) return;
    this.stage.scrollBy(-event.movementX, -event.movementY);
  }

  key(event) {
    const acts = {
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.fit(),
      1: () => this.scaleTo(1),
      PageUp: () => this.turn(-1),
      PageDown: () => this.turn(1),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
}
