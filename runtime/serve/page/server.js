// Talks to the server: with its token, where it asks for one, and again later, where it is full.

const KEY = "dggn-token";
let token = sessionStorage.getItem(KEY) ?? "";
let asked = null; // a promise, while the token is being asked for

export class Refused extends Error {}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 1000 * seconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
});

// Shows the form, and waits until a token is entered.
const askForToken = (words) => {
  asked ??= new Promise((resolve) => {
    const form = document.getElementById("access");
    const field = document.getElementById("token");
    document.getElementById("refused").textContent = words;
    form.hidden = false;
    field.focus();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      token = field.value.trim();
      sessionStorage.setItem(KEY, token);
      field.value = "";
      form.hidden = true;
      asked = null;
      resolve();
    }, { once: true });
  });
  return asked;
};

// The server's answer; what it refuses is an error with its words.
export const ask = async (path, { body, signal, onWait } = {}) => {
  for (;;) {
    const used = token;
    const response = await fetch(path, {
      method: body ? "POST" : "GET",
      // Without a type of its own, so that the server judges by the content alone.
      headers: {
        ...(used && { Authorization: `Bearer ${used}` }),
        ...(body && { "Content-Type": "application/octet-stream" }),
      },
      body,
      signal,
    });
    if (response.ok) { return response; }
    if (response.status === 401) {
      if (used === token) { await askForToken(used ? "That token is wrong." : ""); }
      continue;
    }
    const { error } = await response.json().catch(() => ({ error: `status ${response.status}` }));
    if (response.status !== 503) { throw new Refused(error); }
    onWait?.(error);
    await pause(Number(response.headers.get("Retry-After") ?? 5), signal);
  }
};
