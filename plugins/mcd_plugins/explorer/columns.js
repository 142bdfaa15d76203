// @ts-check
// From packed text to columns of numbers.

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };

function unpacked(packed) {
  const [[type, text]] = Object.entries(packed);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at += 1) bytes[at] = raw.charCodeAt(at);
  return new ARRAYS[type](bytes.buffer);
}

function starts(counts) {
  const found = new Uint32Array(counts.length + 1);
  for (let at = 0; at < counts.length; at += 1) found[at + 1] = found[at] + counts[at];
  return found;
}

// A value that is worked out when it is first asked for.
function later(make) {
  let known;
  return () => (known ??= { value: make() }).value;
}

function read(id) {
  return JSON.parse(document.getElementById(id).textContent);
}
