// One picture: its view before and after, its progress, and its result.

import { cut, draw, forget, loaded, MOST_VIEW_PX, partAround, withContext } from "./parts.js";
import { ask, Refused } from "./server.js";
import { partQuery, scaleFor, wholeQuery } from "./settings.js";

const THUMB_PX = 112;
const MOST_SHOWN_PX = 100e6; // of a result: larger ones would fill a telephone's memory
const EVERY_MS = 400; // between two questions about progress
const AFTER_MS = 150; // without a change, before a part is asked for
const STEP = 0.1; // of the picture, for arrow keys

const newId = () => [...crypto.getRandomValues(new Uint8Array(16))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("");
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e6 ? 2 : 1)} MB`;
const size = (width, height) => `${width.toLocaleString()} × ${height.toLocaleString()}`;

export class Picture {
  constructor(file, info, { say, onChange }) {
    Object.assign(this, { file, info, say, onChange, result: null, busy: false });
    const card = document.getElementById("picture").content.cloneNode(true).firstElementChild;
    this.card = card;
    this.find = (selector) => card.querySelector(selector);
    this.find("h2").textContent = file.name;
    this.find(".pair input").setAttribute(
      "aria-label", `${file.name}: how much is shown of before, in percent`);
    this.find(".whole").setAttribute("aria-label", `${file.name}: arrow keys move the part that is shown`);
    this.find(".before").setAttribute("aria-label", "before");
    this.find(".pair input").addEventListener("input", (event) => {
      this.find(".pair").style.setProperty("--at", event.target.value + "%");
    });
    for (const name of ["make", "stop", "save", "remove"]) {
      this.find("." + name).addEventListener("click", () => this[name]());
      this.find("." + name).setAttribute("aria-label", `${this.find("." + name).textContent} ${file.name}`);
    }
    this.listenToMoves();
    this.near = new IntersectionObserver(([entry]) => {
      this.isNear = entry.isIntersecting;
      if (this.isNear && this.isStale) { this.show(); }
    }, { rootMargin: "400px" });
    this.near.observe(card);
    this.sized = new ResizeObserver(() => { if (card.clientWidth !== this.shownAt) { this.show(); } });
    this.sized.observe(card);
    this.opened = this.open();
  }

  async open() {
    this.state("Opening");
    try {
      this.image = await loaded(this.file).catch(() => this.viewed());
    } catch (error) { return this.fail(error); }
    this.width = this.image.naturalWidth;
    this.height = this.image.naturalHeight;
    this.centre = { x: this.width / 2, y: this.height / 2 };
    const ratio = Math.min(1, THUMB_PX / Math.max(this.width, this.height));
    const whole = { x: 0, y: 0, width: this.width, height: this.height };
    const thumb = { width: Math.ceil(this.width * ratio), height: Math.ceil(this.height * ratio) };
    draw(this.find(".whole canvas"), this.image, whole, thumb);
    this.find(".pair").hidden = this.find(".whole").hidden = false;
    this.state("");
    this.show();
  }

  // Formats that the browser does not know, the server shows.
  async viewed() {
    const response = await ask("view", { body: this.file });
    return loaded(await response.blob());
  }

  // Shows the part, from the result if there is one, else from one made of the part alone.
  show() {
    this.isStale = true;
    if (!this.image || this.isGone) { return; }
    const scale = scaleFor(this.width, this.height);
    const target = [this.width, this.height].map((side) => Math.max(1, Math.round(side * scale)));
    this.find(".facts").textContent = `${size(this.width, this.height)} → ${size(...target)}`;
    const made = this.result && this.result.query === String(wholeQuery());
    this.find(".make").hidden = Boolean(made) || this.busy;
    this.find(".make").textContent = this.result ? "Enlarge again" : "Enlarge";
    if (!this.isNear) { return; }
    this.isStale = false;
    this.shownAt = this.card.clientWidth;
    const view = { width: this.card.clientWidth - 26, height: Math.min(MOST_VIEW_PX, 0.7 * innerHeight) };
    const part = partAround(this.centre, this, scale, view);
    const shown = { width: Math.round(part.width * scale), height: Math.round(part.height * scale) };
    draw(this.find(".before"), this.image, part, shown);
    this.mark(part);
    this.preview?.abort();
    clearTimeout(this.timer);
    if (made && this.result.image) {
      this.drawAfter(this.result.image, part, { x: 0, y: 0 }, scale, shown, "after");
    } else {
      draw(this.find(".after"), this.image, part, shown);
      this.after("…");
      this.timer = setTimeout(() => this.showPreview(part, scale, shown), AFTER_MS);
    }
  }

  async showPreview(part, scale, shown) {
    const preview = this.preview = new AbortController();
    const fed = withContext(part, this, this.info);
    try {
      const body = await cut(this.image, fed);
      const query = partQuery(scale, this.file.type);
      const response = await ask(`upscale?${query}`, { body, signal: preview.signal });
      const image = await loaded(await response.blob());
      if (!preview.signal.aborted) { this.drawAfter(image, part, fed, scale, shown, "preview"); }
      forget(image);
    } catch (error) {
      if (preview.signal.aborted) { return; }
      this.after("no preview");
      if (!(error instanceof Refused)) { this.fail(error); } else { this.why(error.message); }
    }
  }

  // Draws the part of an image that begins at some pixel of the picture.
  drawAfter(image, part, from, scale, shown, name) {
    const [x, y] = [(part.x - from.x) * scale, (part.y - from.y) * scale].map(Math.round);
    const most = { width: Math.min(shown.width, image.naturalWidth - x), height: Math.min(shown.height, image.naturalHeight - y) };
    draw(this.find(".after"), image, { x, y, ...most }, shown);
    this.after(name);
  }

  after(name) {
    this.find(".is-after").textContent = name;
    this.find(".after").setAttribute("aria-label", name);
    this.card.dataset.after = name;
  }

  mark(part) {
    const percent = (value, whole) => `${(100 * value) / whole}%`;
    Object.assign(this.find(".whole i").style, {
      left: percent(part.x, this.width), width: percent(part.width, this.width),
      top: percent(part.y, this.height), height: percent(part.height, this.height),
    });
  }

  listenToMoves() {
    const whole = this.find(".whole");
    const to = (x, y) => {
      const within = (value, most) => Math.max(0, Math.min(value, most));
      this.centre = { x: within(x, this.width), y: within(y, this.height) };
      this.show();
    };
    const follow = (event) => {
      const box = whole.getBoundingClientRect();
      to(((event.clientX - box.left) / box.width) * this.width, ((event.clientY - box.top) / box.height) * this.height);
    };
    whole.addEventListener("pointerdown", (event) => { whole.setPointerCapture(event.pointerId); follow(event); });
    whole.addEventListener("pointermove", (event) => { if (whole.hasPointerCapture(event.pointerId)) { follow(event); } });
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    whole.addEventListener("keydown", (event) => {
      if (!(event.key in steps)) { return; }
      event.preventDefault();
      const [x, y] = steps[event.key];
      to(this.centre.x + x * STEP * this.width, this.centre.y + y * STEP * this.height);
    });
  }

  get wants() { return Boolean(this.image) && !this.busy && !this.isGone && this.result?.query !== String(wholeQuery()); }

  // Makes the whole picture.
  async make() {
    if (!this.wants) { return; }
    const query = wholeQuery();
    const id = newId();
    const stop = this.making = new AbortController();
    this.begin();
    const timer = setInterval(() => this.ask(id), EVERY_MS);
    const began = performance.now();
    try {
      const response = await ask(`upscale?${query}&id=${id}`, {
        body: this.file, signal: stop.signal, onWait: () => this.state("Waiting: the server is busy"),
      });
      await this.keep(response, String(query), (performance.now() - began) / 1000);
    } catch (error) {
      if (!stop.signal.aborted) { this.fail(error); } else { this.state("Stopped"); }
    } finally {
      clearInterval(timer);
      this.end();
    }
  }

  async ask(id) {
    const response = await ask(`progress?id=${id}`).catch(() => null); // not there yet, or any more
    if (!response || !this.busy) { return; }
    const { state, share } = await response.json();
    this.find("progress").value = share;
    this.state(state === "waiting" ? "Waiting" : `${Math.round(100 * share)} %`);
  }

  begin() {
    this.busy = true;
    this.card.classList.remove("failed");
    this.why("");
    this.state("Sending");
    this.find("progress").hidden = this.find(".stop").hidden = false;
    this.find("progress").value = 0;
    this.find("progress").setAttribute("aria-label", this.file.name);
    this.find(".make").hidden = true;
    this.onChange();
  }

  end() {
    this.busy = false;
    this.find("progress").hidden = this.find(".stop").hidden = true;
    this.show();
    this.onChange();
  }

  async keep(response, query, seconds) {
    const notes = JSON.parse(response.headers.get("Dggn-Notes") ?? "[]");
    const ending = /filename="upscaled(\.\w+)"/.exec(response.headers.get("Content-Disposition"))[1];
    const blob = await response.blob();
    forget(this.result?.image);
    const scale = scaleFor(this.width, this.height);
    const isShown = this.width * this.height * scale ** 2 <= MOST_SHOWN_PX;
    const image = isShown ? await loaded(blob).catch(() => null) : null; // TIFF, in most browsers
    const stem = this.file.name.replace(/\.[^.]*$/, "") || "picture";
    this.result = { blob, image, query, name: `${stem}-large${ending}` };
    this.find(".notes").replaceChildren(...notes.map((note) => {
      const item = document.createElement("li");
      item.textContent = note;
      return item;
    }));
    this.state(`Done in ${seconds.toFixed(1)} s, ${megabytes(blob.size)}`);
    this.find(".save").hidden = false;
    this.say(`${this.file.name} is done`);
  }

  stop() { this.making?.abort(); }

  save() { saveAs(this.result.blob, this.result.name); }

  remove() {
    this.isGone = true;
    this.stop();
    this.preview?.abort();
    clearTimeout(this.timer);
    this.near.disconnect();
    this.sized.disconnect();
    forget(this.image);
    forget(this.result?.image);
    this.card.remove();
    this.onChange();
  }

  state(text) { this.find(".state").textContent = text; }

  why(text) { this.find(".why").textContent = text; }

  fail(error) {
    this.card.classList.add("failed");
    this.state("");
    this.why(error instanceof Refused ? error.message : `the server cannot be reached: ${error.message}`);
    this.say(`${this.file.name} failed`);
  }
}

export const saveAs = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};
