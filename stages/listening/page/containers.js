// What a file is, by its first bytes, and how a long one is cut into pieces that browsers decode one by one, to the
// same samples as the whole: so memory stays flat, and pieces are decoded side by side.
"use strict";

const LIKELY = { rate: 48000, channels: 2 }; // of a file whose header says nothing
const [LEAST_RATE, MOST_RATE] = [3000, 768000]; // Hz, between which WebAudio works
const M4A_RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]; // no video's time scale is among them
const COMPANDED = [6, 7]; // WAV's A-law and mu-law, 8 bits that stand for more
const PLAIN = [1, 3, ...COMPANDED, 0xfffe]; // WAV's formats whose samples stand side by side: PCM, float, extensible
const UNKNOWN = 2 ** 31 - 2 ** 16; // bytes that a header claims, and more, where whoever wrote it did not know
const PIECE_BYTES = { wav: 2 ** 22, flac: 2 ** 22, mp3: 2 ** 20 }; // some 30 seconds of stereo
const KBITS = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]; // a second of an MP3 of version 1
const LOW_KBITS = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]; // of version 2
const WARM_UP = 16; // frames of an MP3 before a piece: the first ones lean on what came before them
const DECODER_DELAY = 529; // samples by which an MP3 decoder is late, beside the encoder's own delay

// Returns {rate, channels} as the header of a WAV, FLAC, OGG, MP3 or M4A file has them, or likely ones; of some also
// the {kind}, the {bits} of a sample, the number of samples that are {claimed}, and what `cutters` need.
async function readHeader(file) {
  const at = async (offset, length) => new DataView(await file.slice(offset, offset + length).arrayBuffer());
  const text = (view, offset, length) =>
    String.fromCharCode(...new Uint8Array(view.buffer).subarray(offset, offset + length));
  const start = await skipTag(at);
  const view = await at(start, 2 ** 16);
  const flac = (offset) => ({
    rate: view.getUint32(offset + 18) >>> 12,
    channels: ((view.getUint8(offset + 20) >> 1) & 7) + 1,
    bits: ((view.getUint16(offset + 20) >> 4) & 31) + 1,
    claimed: (view.getUint8(offset + 21) & 15) * 2 ** 32 + view.getUint32(offset + 22),
  });
  let found = null;
  if (/^(RIFF|RF64)/.test(text(view, 0, 4))) found = await wav();
  else if (text(view, 0, 4) === "fLaC") found = { kind: "flac", start, ...flac(0) };
  else if (text(view, 0, 4) === "OggS") found = { kind: "ogg", ...ogg() };
  else if (text(view, 4, 4) === "ftyp") found = await m4a(0, file.size);
  else found = mp3();
  const usable = found && found.rate >= LEAST_RATE && found.rate <= MOST_RATE && found.channels > 0;
  return usable ? found : LIKELY;

  async function wav() {
    let found = null;
    for (let offset = 12; offset + 8 <= file.size; ) {
      const chunk = await at(offset, 64);
      const [name, bytes] = [text(chunk, 0, 4), chunk.getUint32(4, true)];
      if (!/^[ -~]{4}$/.test(name)) break; // no chunk, but zeros, say: it would take long to go through them
      if (name === "fmt ") {
        const [code, channels, rate] = [chunk.getUint16(8, true), chunk.getUint16(10, true), chunk.getUint32(12, true)];
        const [each, bits] = [chunk.getUint16(20, true), COMPANDED.includes(code) ? 16 : chunk.getUint16(22, true)];
        found = { kind: PLAIN.includes(code) && "wav", rate, channels, bits, each, format: [offset, bytes] };
      }
      if (name === "data" && found) {
        const known = bytes > 0 && bytes < UNKNOWN;
        const end = known ? Math.min(file.size, offset + 8 + bytes) : file.size;
        return { ...found, claimed: known ? Math.floor(bytes / found.each) : 0, start: offset + 8, end };
      }
      offset += 8 + bytes + (bytes % 2);
    }
    return { ...found, kind: null };
  }

  function ogg() {
    const offset = 27 + view.getUint8(26);
    if (text(view, offset, 7) === "\x01vorbis") {
      return { rate: view.getUint32(offset + 12, true), channels: view.getUint8(offset + 11), before: 0 };
    }
    if (text(view, offset, 8) === "OpusHead") {
      return { rate: 48000, channels: view.getUint8(offset + 9), before: view.getUint16(offset + 10, true) };
    }
    if (text(view, offset, 5) === "\x7fFLAC") return flac(offset + 9);
  }

  function mp3() {
    for (let i = 0; i + 4 <= view.byteLength; i++) {
      const frame = readFrame(view, i);
      const next = frame && i + frame.bytes;
      if (!frame || !(start + next >= file.size || isNext(view, next, frame))) continue;
      return { kind: "mp3", rate: frame.rate, channels: frame.channels, ...readTag(i, frame) };
    }
  }

  function readTag(i, { bytes, samples }) { // Xing's, with LAME's delays, or Fraunhofer's, in a first frame of no sound
    const places = [13, 21, 36].map((offset) => i + offset);
    const at = places.find((offset) => /^(Xing|Info|VBRI)/.test(text(view, offset, 4)));
    if (!at) return { start: start + i, skip: 0 };
    const after = start + i + bytes;
    if (text(view, at, 4) === "VBRI") return { start: after, skip: 0, claimed: samples * view.getUint32(at + 14) };
    const flags = view.getUint32(at + 4);
    const sizes = [4, 4, 100, 4].map((size, bit) => size * ((flags >> bit) & 1)); // frames, bytes, contents, quality
    const delays = view.getUint32(at + 8 + sizes.reduce((a, b) => a + b) + 21) >>> 8;
    const [delay, padding] = [delays >> 12, delays & 4095];
    const claimed = flags & 1 ? samples * view.getUint32(at + 8) - delay - padding : 0;
    return { start: after, skip: delay + DECODER_DELAY, claimed };
  }

  async function m4a(offset, end) { // the time scale of the first track that has one of sound
    while (offset + 32 <= end) {
      const box = await at(offset, 40);
      const [size, name] = [box.getUint32(0), text(box, 4, 4)];
      const rate = name === "mdhd" && box.getUint32(box.getUint8(8) ? 28 : 20);
      if (M4A_RATES.includes(rate)) return { rate, channels: 2, claimed: box.getUint32(box.getUint8(8) ? 36 : 24) };
      const inside = /^(moov|trak|mdia)$/.test(name) && (await m4a(offset + 8, Math.min(end, offset + size)));
      if (inside) return inside;
      if (size < 8) return;
      offset += size;
    }
  }
}

async function skipTag(at) { // ID3v2 before an MP3, sometimes before a FLAC
  const view = await at(0, 10);
  if (view.byteLength < 10 || view.getUint32(0) >>> 8 !== 0x494433) return 0;
  return [6, 7, 8, 9].reduce((size, i) => (size << 7) | (view.getUint8(i) & 127), 0) + 10;
}

// The header of an MP3's frame, or null: {key: what all frames of a file share, rate, channels, samples, bytes}.
function readFrame(view, i) {
  if (i + 4 > view.byteLength) return null;
  const bits = view.getUint32(i);
  const [version, layer, kbits, rates] = [(bits >> 19) & 3, (bits >> 17) & 3, (bits >> 12) & 15, (bits >> 10) & 3];
  if (bits >>> 21 !== 0x7ff || version === 1 || layer !== 1 || kbits % 15 === 0 || rates === 3) return null;
  const rate = [44100, 48000, 32000][rates] / [4, 0, 2, 1][version];
  const samples = version === 3 ? 1152 : 576;
  const size = (samples * 125 * (version === 3 ? KBITS : LOW_KBITS)[kbits - 1]) / rate;
  const bytes = Math.floor(size) + ((bits >> 9) & 1);
  return { key: bits & 0xfffe0c00, rate, channels: ((bits >> 6) & 3) === 3 ? 1 : 2, samples, bytes };
}

const isNext = (view, i, frame) => readFrame(view, i)?.key === frame.key;

// Whether a FLAC's frame begins there, such as the first one: by what all share, and by the checksum of its header.
function isFlacFrame(bytes, i, first) {
  const alike = bytes[i] === 255 && bytes[i + 1] === first[1] && ((bytes[i + 2] ^ first[2]) & 15) === 0;
  if (!alike || ((bytes[i + 3] ^ first[3]) & 15) !== 0) return false;
  const [size, rate] = [bytes[i + 2] >> 4, bytes[i + 2] & 15];
  const number = Math.max(1, Math.clz32(~(bytes[i + 4] << 24))); // bytes, as UTF-8 has it
  const length = 4 + number + (size === 6 ? 1 : size === 7 ? 2 : 0) + (rate === 12 ? 1 : rate > 12 ? 2 : 0);
  let sum = 0;
  for (let k = i; k < i + length; k++) {
    sum ^= bytes[k];
    for (let bit = 0; bit < 8; bit++) sum = sum & 128 ? ((sum << 1) ^ 7) & 255 : sum << 1;
  }
  return sum === bytes[i + length];
}

// The number of a FLAC's frame, or, in a file of frames of any length, of its first sample: a character of UTF-8.
function flacNumber(bytes, i) {
  const more = Math.max(0, Math.clz32(~(bytes[i + 4] << 24)) - 1);
  const rest = Array.from(bytes.subarray(i + 5, i + 5 + more));
  return rest.reduce((number, byte) => number * 64 + (byte & 63), bytes[i + 4] & (more ? 63 >> more : 127));
}

// Cut a file; yield its pieces' {bytes}, files of their own, where they {end}, of an MP3 how many {samples} of a piece
// count, the last ones, and whether what is missing, if any is, is {damaged}: the file goes on behind it.
const CUTTERS = {
  async *wav(file, { start, end, each, format }) {
    const head = await readBytes(file, format[0], format[0] + 8 + format[1]);
    const most = Math.max(1, Math.floor(PIECE_BYTES.wav / each)) * each;
    for (let at = start; at + each <= end; at += most) {
      const samples = await readBytes(file, at, Math.min(at + most, at + Math.floor((end - at) / each) * each));
      const size = (bytes) => new Uint8Array(Uint32Array.of(bytes).buffer);
      const riff = [ascii("RIFF"), size(4 + head.length + 8 + samples.length), ascii("WAVE"), head];
      yield { bytes: joinBytes([...riff, ascii("data"), size(samples.length), samples]), end: at + most };
    }
  },

  async *flac(file, { start, claimed }) {
    const head = await readBytes(file, start, start + 42); // with the first block of metadata, and of it alone the last
    let at = start + 4;
    for (let block, last = false; !last; at += 4 + ((block[1] << 16) | (block[2] << 8) | block[3])) {
      block = await readBytes(file, at, at + 4);
      if (block.length < 4) return;
      last = block[0] > 127;
    }
    head[4] |= 128;
    const [first, block] = [await readBytes(file, at, at + 4), (head[10] << 8) | head[11]]; // of samples, at most
    while (at < file.size) {
      const bytes = await readBytes(file, at, at + PIECE_BYTES.flac);
      let last = bytes.length - 20;
      while (last > 0 && !isFlacFrame(bytes, last, first)) last--;
      const ends = at + bytes.length >= file.size;
      const size = ends ? bytes.length : last || bytes.length;
      at += size;
      const damaged = ends && last > 0 && flacNumber(bytes, last) * (first[1] & 1 ? 1 : block) + block >= claimed;
      yield { bytes: joinBytes([head, bytes.subarray(0, size)]), end: at, damaged };
    }
  },

  async *mp3(file, { start }) {
    let [at, like, before] = [start, null, []];
    while (at < file.size) {
      const bytes = await readBytes(file, at, at + PIECE_BYTES.mp3);
      const view = new DataView(bytes.buffer);
      const ends = at + bytes.length === file.size;
      const frames = [];
      let [i, samples, damaged] = [0, 0, false];
      for (let lost = false; i + 4 <= bytes.length; ) { // after damage, only where a frame follows a frame
        const frame = readFrame(view, i);
        like ??= frame;
        const next = frame && i + frame.bytes;
        if (frame && next > bytes.length && !ends) break;
        const fits = frame && frame.key === like.key && next <= bytes.length;
        if (fits && !(lost && next < bytes.length && !isNext(view, next, frame))) {
          frames.push(bytes.subarray(i, next));
          samples += frame.samples;
          damaged ||= lost;
          [i, lost] = [next, false];
        } else {
          [i, lost] = [i + 1, true];
        }
      }
      at += ends ? bytes.length : i;
      if (frames.length) yield { bytes: joinBytes([...before, ...frames]), samples, end: at, damaged };
      before = [...before, ...frames].slice(-WARM_UP);
    }
  },
};

const ascii = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const readBytes = async (file, start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer());

function joinBytes(parts) {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
