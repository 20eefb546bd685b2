// From a file to samples at the file's own rate: read from its header, since at any other WebAudio would resample by
// its own, coarser means.
"use strict";

const LIKELY = { rate: 48000, channels: 2, bits: 0 }; // of a file whose header tells nothing
const [LEAST_RATE, MOST_RATE] = [3000, 768000]; // Hz, between which WebAudio works
const M4A_RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]; // a video's time scale is none of them
const MOST_BYTES = 2 ** 31; // of a song's samples in memory: browsers hold no more in one piece

// Returns {rate, channels} as the header of a WAV, FLAC, OGG, MP3 or M4A file has them, or likely ones, and of a WAV or
// a FLAC the {bits} of a sample.
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
  });
  let found = null;
  if (/^(RIFF|RF64)/.test(text(view, 0, 4))) found = await wav();
  else if (text(view, 0, 4) === "fLaC") found = flac(0);
  else if (text(view, 0, 4) === "OggS") found = ogg();
  else if (text(view, 4, 4) === "ftyp") found = await m4a(0, file.size);
  else found = mp3();
  const usable = found && found.rate >= LEAST_RATE && found.rate <= MOST_RATE && found.channels > 0;
  return usable ? found : LIKELY;

  async function wav() {
    for (let offset = 12; offset + 24 <= file.size; ) {
      const chunk = await at(offset, 24);
      if (text(chunk, 0, 4) === "fmt ") {
        const [channels, rate, bits] = [chunk.getUint16(10, true), chunk.getUint32(12, true), chunk.getUint16(22, true)];
        return { rate, channels, bits };
      }
      offset += 8 + chunk.getUint32(4, true) + (chunk.getUint32(4, true) % 2);
    }
  }

  function ogg() {
    const offset = 27 + view.getUint8(26);
    if (text(view, offset, 7) === "\x01vorbis") {
      return { rate: view.getUint32(offset + 12, true), channels: view.getUint8(offset + 11) };
    }
    if (text(view, offset, 8) === "OpusHead") return { rate: 48000, channels: view.getUint8(offset + 9) };
    if (text(view, offset, 5) === "\x7fFLAC") return flac(offset + 9);
  }

  function mp3() {
    for (let i = 0; i + 4 <= view.byteLength; i++) {
      const bits = view.getUint32(i);
      const [version, layer, bitrate, rate] = [(bits >> 19) & 3, (bits >> 17) & 3, (bits >> 12) & 15, (bits >> 10) & 3];
      if (bits >>> 21 !== 0x7ff || version === 1 || layer === 0 || bitrate === 15 || rate === 3) continue;
      return { rate: [44100, 48000, 32000][rate] / [4, 0, 2, 1][version], channels: ((bits >> 6) & 3) === 3 ? 1 : 2 };
    }
  }

  async function m4a(offset, end) { // the time scale of the first track that has one of sound
    while (offset + 32 <= end) {
      const box = await at(offset, 32);
      const [size, name] = [box.getUint32(0), text(box, 4, 4)];
      const rate = name === "mdhd" && box.getUint32(box.getUint8(8) ? 28 : 20);
      if (M4A_RATES.includes(rate)) return { rate, channels: 2 };
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

// Returns how many seconds a file lasts as the browser's player has it, or NaN if that cannot play it.
function readSeconds(url) {
  return new Promise((resolve) => {
    const player = new Audio();
    player.onloadedmetadata = player.onerror = () => {
      resolve(player.duration);
      player.removeAttribute("src"); // browsers keep no more than some dozen players
    };
    player.preload = "metadata";
    player.src = url;
  });
}

// Returns what positive samples of 16 bits are to be multiplied by so that all are in one scale: Chromium divides them
// by 32767, negative ones by 32768, which is heard where music is 80 dB below its loudest. The smallest WAV tells.
async function measurePositive() {
  const [riff, wave, format, data] = [0x46464952, 0x45564157, 0x20746d66, 0x61746164];
  const half = Int32Array.of(riff, 40, wave, format, 16, 0x10001, 48000, 96000, 0x100002, data, 4, 0x40004000);
  const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(half.buffer);
  return 0.5 / sound.getChannelData(0)[0];
}

// Returns a file's {sound} as an AudioBuffer at its own rate, and what its {positive} samples are to be multiplied by.
// An Error's message says why there is none.
async function decode(file, url) {
  if (!file.size) throw new Error("is empty");
  const { rate, channels, bits } = await readHeader(file).catch(() => LIKELY); // say of a file that ends in its header
  const seconds = await readSeconds(url);
  const most = Math.floor(MOST_BYTES / (4 * rate * channels));
  if (seconds > most) {
    throw new Error(`lasts ${clock(seconds)}; this page hears such a file up to ${clock(most)}: cut it in pieces`);
  }
  let bytes;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    throw new Error("cannot be read");
  }
  try {
    const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
    return { sound, positive: bits === 16 ? await measurePositive() : 1 };
  } catch {
    throw new Error("is no sound that this browser can decode");
  }
}

function clock(seconds) { // 3:07, 1:03:07
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
