// From a file to samples at the file's own rate: read from its header, since at any other WebAudio would resample by
// its own, coarser means.
"use strict";

const MOST_BYTES = 2 ** 31; // of samples in memory that are decoded at once: browsers hold no more in one piece
const LONGEST_BLOCK = 8192; // samples that an OGG may decode to beyond its end
const MOST_PADDING = 2 * 4096; // samples of silence at an MP3's end

// Returns a file's {rate}, what its {positive} samples are to be multiplied by, how many samples are {claimed}, if that
// is known, and its {sounds}, one after the other: {sound: an AudioBuffer, from, to: what counts of it, done: the share
// of the file that has been read}. Then it is known whether what is missing is {damaged}, or the file breaks off there.
// An Error's message says why there is none.
async function decode(file, url) {
  if (!file.size) throw new Error("is empty");
  const header = await readHeader(file).catch(() => LIKELY); // say of a file that ends in its header
  const { rate, bits, claimed } = header;
  const positive = bits <= 16 ? await measurePositive(bits > 8 || header.kind !== "wav" ? 16 : 8) : 1;
  const song = { rate, positive, claimed, damaged: false };
  song.sounds = CUTTERS[header.kind] ? decodePieces(file, header, song) : decodeWhole(file, url, header);
  return song;
}

async function* decodePieces(file, header, song) {
  const pieces = CUTTERS[header.kind](file, header);
  let taken = -(header.skip ?? 0);
  const read = async () => {
    const { value: piece } = await pieces.next();
    return piece && { ...piece, sound: await decodeBytes(piece.bytes.buffer, header.rate) };
  };
  let next = read();
  for (let piece; (piece = await next.catch((error) => stop(error))); ) {
    next = read(); // while this one is heard
    next.catch(() => {}); // that is seen above, or nobody waits for it any more
    const { sound, samples = sound.length, end } = piece;
    const from = sound.length - samples + Math.max(0, -taken);
    taken += samples;
    song.damaged ||= piece.damaged;
    const surplus = header.kind === "mp3" && header.claimed && end === file.size ? taken - header.claimed : 0;
    const to = surplus > 0 && surplus < MOST_PADDING ? sound.length - surplus : sound.length;
    if (from < to) yield { sound, from: Math.max(0, from), to, done: end / file.size };
  }

  function stop(error) { // at what cannot be decoded, unless it is the start
    if (taken <= 0) throw error;
  }
}

async function* decodeWhole(file, url, { kind, rate, channels, before }) {
  const seconds = await readSeconds(url);
  const most = Math.floor(MOST_BYTES / (4 * rate * channels));
  if (seconds > most && seconds < Infinity) {
    throw new Error(`lasts ${clock(seconds)}; this page hears such a file up to ${clock(most)}: cut it in pieces`);
  }
  const bytes = await readBytes(file, 0, file.size);
  const end = kind === "ogg" ? lastPosition(bytes) - before : 0;
  const sound = await decodeBytes(bytes.buffer, rate);
  const surplus = sound.length - end; // browsers cut an OGG that ends within a block at its end, or not at all
  const late = surplus > 1 && surplus < LONGEST_BLOCK; // WebKit gives a sample too many, at the end
  yield { sound, from: late ? surplus : 0, to: sound.length, done: 1 };
}

async function decodeBytes(buffer, rate) {
  try {
    return await new OfflineAudioContext(1, 1, rate).decodeAudioData(buffer);
  } catch {
    throw new Error("is no sound that this browser can decode");
  }
}

// Returns how many samples an OGG has, and an Opus some before its start, as its last page says.
function lastPosition(bytes) {
  const view = new DataView(bytes.buffer);
  for (let i = bytes.length - 27; i >= 0; i--) {
    if (view.getUint32(i) === 0x4f676753) return Number(view.getBigInt64(i + 6, true)); // "OggS"
  }
}

// Returns how many seconds a file lasts as the browser's player has it: NaN if that cannot play it, Infinity if nobody
// knows. Where the file does not say, a player that is sent to its end mostly finds out.
function readSeconds(url) {
  return new Promise((resolve) => {
    const player = new Audio();
    const leave = () => {
      resolve(player.duration);
      player.removeAttribute("src"); // browsers keep no more than some dozen players
    };
    player.onerror = player.onseeked = leave;
    player.onloadedmetadata = () => {
      if (player.duration < Infinity) leave();
      else player.currentTime = 1e9;
    };
    player.preload = "metadata";
    player.src = url;
  });
}

// Returns what positive samples of 8 or 16 bits are to be multiplied by so that all are in one scale: Chromium divides
// them by 127 or 32767, negative ones by 128 or 32768, which is heard where music is soft. The smallest WAV tells.
async function measurePositive(bits) {
  const [riff, wave, format, data] = [0x46464952, 0x45564157, 0x20746d66, 0x61746164];
  const [bytes, half] = [bits / 8, bits === 8 ? 0xc0c0c0c0 : 0x40004000];
  const kind = [format, 16, 0x10001, 48000, 48000 * bytes, (bits << 16) | bytes];
  const file = Int32Array.of(riff, 40, wave, ...kind, data, 4, half);
  const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(file.buffer);
  return 0.5 / sound.getChannelData(0)[0];
}
