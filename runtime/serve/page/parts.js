// Which part of a picture is shown, and what the server must be sent to enlarge just that.

export const MOST_VIEW_PX = 560; // of a view's height

// The part around a centre that fills a view when it is enlarged, in pixels of the picture.
export const partAround = (centre, size, scale, view) => {
  const along = (middle, whole, room) => {
    const length = Math.max(1, Math.min(whole, Math.floor(room / scale)));
    const start = Math.round(middle - length / 2);
    return [Math.max(0, Math.min(start, whole - length)), length];
  };
  const [x, width] = along(centre.x, size.width, view.width);
  const [y, height] = along(centre.y, size.height, view.height);
  return { x, y, width, height };
};

// The same with the context that the network looks at, on the grid on which it pools: thus the
// part comes out as in the whole picture. Its size does not depend on where it lies, away from the
// edges, for a size that is new to a library is slow.
export const withContext = (part, size, { overlap, size_multiple: multiple }) => {
  const along = (start, length, whole) => {
    const first = Math.max(0, Math.floor((start - overlap) / multiple) * multiple);
    const most = (Math.ceil((length + 2 * overlap) / multiple) + 1) * multiple;
    return [first, Math.min(whole - first, most)];
  };
  const [x, width] = along(part.x, part.width, size.width);
  const [y, height] = along(part.y, part.height, size.height);
  return { x, y, width, height };
};

export const loaded = async (blob) => {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
  } catch (error) {
    URL.revokeObjectURL(image.src);
    throw error;
  }
  return image;
};

export const forget = (image) => { if (image) { URL.revokeObjectURL(image.src); } };

// A part as a file of its own.
export const cut = (image, part) => new Promise((resolve, reject) => {
  const canvas = document.createElement("canvas");
  canvas.width = part.width;
  canvas.height = part.height;
  canvas.getContext("2d").drawImage(
    image, part.x, part.y, part.width, part.height, 0, 0, part.width, part.height);
  canvas.toBlob((blob) => blob ? resolve(blob) : reject(new Error("this browser lacks memory")));
});

// Draws a part of an image, enlarged by the browser where that is needed.
export const draw = (canvas, image, part, size) => {
  canvas.width = size.width;
  canvas.height = size.height;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, part.x, part.y, part.width, part.height, 0, 0, size.width, size.height);
};
