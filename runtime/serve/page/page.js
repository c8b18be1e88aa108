// The page: pictures come in, are made a few at a time, and are saved.

import { Picture, saveAs } from "./picture.js";
import { ask } from "./server.js";
import { openSettings } from "./settings.js";
import { zip } from "./zip.js";

const AT_ONCE = 2; // of the six requests that browsers make at once, for previews need some, too
const get = (id) => document.getElementById(id);
const pictures = [];
let info;
let isMakingAll = false;

const say = (text) => { get("status").textContent = text; };

const changed = () => {
  for (let at = pictures.length - 1; at >= 0; at -= 1) {
    if (pictures[at].isGone) { pictures.splice(at, 1); }
  }
  get("all").hidden = pictures.length === 0;
  get("make-all").disabled = isMakingAll || !pictures.some((picture) => picture.wants);
  const made = pictures.filter((picture) => picture.result);
  get("save-all").disabled = made.length === 0;
  get("save-all").textContent = made.length && made.length < pictures.length
    ? `Save ${made.length} as zip` : "Save all as zip";
};

const add = (files) => {
  for (const file of files) {
    const picture = new Picture(file, info, { say, onChange: changed });
    pictures.push(picture);
    get("pictures").append(picture.card);
  }
  if (files.length) { say(files.length === 1 ? `${files[0].name} was added` : `${files.length} pictures were added`); }
  changed();
};

const makeAll = async () => {
  isMakingAll = true;
  changed();
  const waiting = [...pictures];
  const worker = async () => {
    while (waiting.length) {
      const picture = waiting.shift();
      await picture.opened;
      await picture.make();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  isMakingAll = false;
  changed();
};

// Each name once, whatever a disk takes for the same.
const distinct = (results) => {
  const taken = new Set();
  return results.map(({ name, blob }) => {
    const [stem, ending] = [name.replace(/\.[^.]*$/, ""), name.slice(name.lastIndexOf("."))];
    let free = name;
    for (let number = 2; taken.has(free.toLowerCase()); number += 1) { free = `${stem}-${number}${ending}`; }
    taken.add(free.toLowerCase());
    return { name: free, blob };
  });
};

const saveAll = async () => {
  const made = distinct(pictures.filter((picture) => picture.result).map((picture) => picture.result));
  try {
    saveAs(await zip(made), "enlarged.zip");
  } catch (error) { say(error.message); }
};

const listen = () => {
  get("files").addEventListener("change", (event) => { add([...event.target.files]); event.target.value = ""; });
  get("make-all").addEventListener("click", makeAll);
  get("save-all").addEventListener("click", saveAll);
  get("remove-all").addEventListener("click", () => { for (const picture of [...pictures]) { picture.remove(); } });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) { event.preventDefault(); add([...event.clipboardData.files]); }
  });
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dragging"); });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) { document.body.classList.remove("dragging"); }
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    add([...event.dataTransfer.files]);
  });
  addEventListener("beforeunload", (event) => { if (pictures.some((picture) => picture.busy)) { event.preventDefault(); } });
};

const start = async () => {
  try {
    info = await (await ask("info")).json();
  } catch (error) {
    get("model").textContent = `The server cannot be reached: ${error.message}`;
    return;
  }
  get("model").textContent = info.model;
  get("limits").textContent = `At most ${info.max_mb} MB and ${info.max_megapixels} megapixels each. They stay between this page and its server.`;
  openSettings(info, () => { for (const picture of pictures) { picture.show(); } changed(); });
  listen();
  get("work").hidden = false;
};

start();
