// The form: what is asked for of every picture.

const NAMES = { png: "PNG", jpg: "JPEG", webp: "WebP", tiff: "TIFF", gif: "GIF", avif: "AVIF" };
const LOSSY = ["jpg", "webp", "avif"]; // which browsers show, too
const TYPES = { "image/jpeg": "jpg", "image/webp": "webp", "image/avif": "avif" };
const get = (id) => document.getElementById(id);

let modelScale = 4;
let ownStrength = ""; // the server's, which need not be among those that it offers

const wordsFor = (strength) => {
  if (strength === 0) { return "keep, with grain and texture"; }
  return strength === 1 ? "remove" : `remove ${Math.round(100 * strength)} %`;
};

// Fills in what this server offers, and tells of every change.
export const openSettings = (info, onChange) => {
  modelScale = info.scale;
  const sizes = [];
  for (let times = 2; times <= modelScale; times += 1) { sizes.push([times, `${times} times`]); }
  if (modelScale > 1) {
    for (const times of [2 * modelScale, modelScale ** 2]) {
      sizes.push([times, `${times} times, in two passes`]);
    }
  }
  sizes.push(["side", "so many pixels"]);
  get("size").replaceChildren(...sizes.map(([value, text]) => new Option(text, value)));
  get("size").value = modelScale;
  get("format").replaceChildren(
    ...info.formats.map((name) => new Option(NAMES[name] ?? "same as the picture", name)));
  const strengths = info.strengths.length ? [...new Set([...info.strengths, info.denoise])].sort() : [];
  get("denoise-label").hidden = strengths.length === 0;
  get("denoise").replaceChildren(...strengths.map((strength) => new Option(wordsFor(strength), strength)));
  get("denoise").value = ownStrength = info.strengths.length ? String(info.denoise) : "";
  const changed = () => {
    get("side-label").hidden = get("size").value !== "side";
    const format = get("format").value;
    get("quality-label").hidden = !(format === "same" || LOSSY.includes(format));
    get("quality-is").textContent = get("quality").value;
    onChange();
  };
  get("settings").addEventListener("input", changed);
  get("settings").addEventListener("submit", (event) => event.preventDefault());
  changed();
};

// How many times as large a picture becomes.
export const scaleFor = (width, height) => {
  const size = get("size").value;
  if (size !== "side") { return Number(size); }
  const longest = Math.max(width, height);
  const side = Math.max(1, Math.min(Number(get("side").value) || 1, longest * modelScale));
  return side / longest;
};

const query = (size, format) => {
  const wanted = new URLSearchParams({ ...size, format, quality: get("quality").value });
  if (get("denoise").value !== ownStrength) { wanted.set("denoise", get("denoise").value); }
  if (Number(size.scale) > modelScale) { wanted.set("second_pass", "true"); }
  return wanted;
};

// The parameters for a whole picture.
export const wholeQuery = () => {
  const size = get("size").value;
  const side = Math.max(1, Math.round(Number(get("side").value) || 1));
  return query(size === "side" ? { max_size: side } : { scale: size }, get("format").value);
};

// The parameters for a part of it, in a format that browsers show.
export const partQuery = (scale, type) => {
  const asked = get("format").value;
  const format = asked === "same" ? TYPES[type] ?? "png" : asked;
  return query({ scale: String(scale) }, LOSSY.includes(format) ? format : "png");
};
