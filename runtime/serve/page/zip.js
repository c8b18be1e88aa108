// A zip of files that are compressed already: stored as they are.

const TABLE = Uint32Array.from({ length: 256 }, (_, number) => {
  for (let bit = 0; bit < 8; bit += 1) { number = number & 1 ? 0xedb88320 ^ (number >>> 1) : number >>> 1; }
  return number;
});
const PIECE = 1 << 22;
const MOST_BYTES = 0xffffffff;
const MOST_FILES = 0xffff;

const checksum = async (blob) => {
  let sum = 0xffffffff;
  for (let start = 0; start < blob.size; start += PIECE) {
    const piece = new Uint8Array(await blob.slice(start, start + PIECE).arrayBuffer());
    for (const byte of piece) { sum = TABLE[(sum ^ byte) & 0xff] ^ (sum >>> 8); }
  }
  return (sum ^ 0xffffffff) >>> 0;
};

// Numbers as [how many bytes, value].
const record = (...numbers) => {
  const view = new DataView(new ArrayBuffer(numbers.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of numbers) {
    if (size === 2) { view.setUint16(at, value, true); } else { view.setUint32(at, value, true); }
    at += size;
  }
  return view.buffer;
};

const UTF8 = 1 << 11;
const NEEDS = 20; // version 2.0

const day = (date) => ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
const time = (date) => (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);

export const zip = async (files) => {
  const total = files.reduce((sum, { name, blob }) => sum + blob.size + 6 * name.length + 128, 0);
  if (total > MOST_BYTES || files.length > MOST_FILES) {
    throw new Error("a zip holds 4 GB: save the pictures one by one");
  }
  const parts = [];
  const directory = [];
  const now = new Date();
  let offset = 0;
  for (const { name, blob } of files) {
    const bytes = new TextEncoder().encode(name);
    const facts = [
      [2, NEEDS], [2, UTF8], [2, 0], [2, time(now)], [2, day(now)],
      [4, await checksum(blob)], [4, blob.size], [4, blob.size], [2, bytes.length], [2, 0],
    ];
    const head = record([4, 0x04034b50], ...facts);
    parts.push(head, bytes, blob);
    directory.push(
      record([4, 0x02014b50], [2, NEEDS], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), bytes);
    offset += head.byteLength + bytes.length + blob.size;
  }
  const length = directory.reduce((sum, part) => sum + part.byteLength, 0);
  const end = record(
    [4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, length], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
};
