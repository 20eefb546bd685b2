// From samples to probabilities: the page's worker. Resampling, windows, front end, network; no sound leaves it.
//
// The page sends {models} once, then for each song, or section of one, its {rate}, what its {positive} samples are to be
// multiplied by, the {hop} from one window to the next, the second of the song that it may {begin} at, and those {from}
// which and {to} which windows are its own; then pieces of it as {channels}, and {end: true}. Each of these is answered
// by what has been {heard} since the last one, all else by {}, whatever goes wrong by {error}. JavaScript's numbers are
// of 64 bits, as in the ONNX files: a silent frame is silent to the last bit.
"use strict";

const LOUDEST = 1e6; // full scale is 1: as stages/audio/decode.py has it
const GATE = 1e-7, MARGIN = 50; // of a silent second: as stages/audio/silence.py has them
const AT_ONCE = 2 ** 14; // samples, which the processor's cache holds

function decodeBase64(text, kind) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return new kind(bytes.buffer);
}

function join(pieces) {
  const result = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    result.set(piece, at);
    at += piece.length;
  }
  return result;
}

// Windows of a second, each `hop` samples after the last, by where they start in the song; the sound comes in from
// sample `at` of it on. The rest is one too if it lasts half a second and was not heard in the one before; zeros fill it
// up.
function makeWindows(rate, hop, at, hear) {
  let [kept, start] = [new Float32Array(0), Math.ceil(at / hop) * hop]; // what has come, and where the next one starts

  return {
    push(samples) {
      kept = join([kept, samples]);
      for (; start + rate <= at + kept.length; start += hop) hear(kept.slice(start - at, start - at + rate), start);
      const done = Math.min(start - at, kept.length);
      [kept, at] = [kept.slice(done), at + done];
    },
    end() {
      const rest = kept.subarray(start - at);
      const before = start > 0 ? rate - hop : 0; // of it in the window before
      if (rest.length < Math.floor(rate / 2) || rest.length <= before) return;
      hear(join([rest, new Float32Array(rate - rest.length)]), start);
    },
  };
}

// Whether a second's variance without its edges, where a resampler rings, is below GATE.
function isSilent(clip) {
  const edge = Math.floor(clip.length / MARGIN);
  const inside = clip.subarray(edge, clip.length - edge);
  const mean = inside.reduce((sum, x) => sum + x, 0) / inside.length;
  return multiplySum(inside, 0, inside) / inside.length - mean ** 2 < GATE;
}

function makeModel(model) {
  if (model.parts) return model; // the mean of others
  const [frontEnd, network] = [FRONT_ENDS[model.name](model), makeNetwork(model)];
  const [mean, std] = [model.mean, model.std].map((text) => decodeBase64(text, Float64Array));
  return {
    ...model,
    hear: (clip) => network(frontEnd(clip).map((x, i) => (x - mean[i]) / std[i])),
  };
}

// A song, or a section of one: pieces in; out come, for each model, what it heard since the last piece: the {starts} of
// windows, in seconds, and the probabilities of each, a row, or null if it is silent.
function makeSong(models, { rate, positive, hop, begin = 0, from = 0, to = Infinity }) {
  let heard = null;
  const rates = [...new Set(models.map((model) => model.rate))];
  const ways = rates.map((own) => {
    const windows = makeWindows(own, Math.round(hop * own), begin * own, (clip, start) => {
      if (start >= from * own && start < to * own) listen(clip, start / own, own);
    });
    return { resampler: makeResampler(rate, own, windows.push), windows };
  });

  function listen(clip, start, rate) {
    const silent = isSilent(clip);
    const answers = {}; // of each model, not calibrated
    const ask = (model) => (answers[model.name] ??= model.parts ? mean(model.parts.map(askByName)) : model.hear(clip));
    const askByName = (name) => ask(models.find((model) => model.name === name));
    models.forEach((model, i) => {
      if (model.rate !== rate) return;
      heard[i].starts.push(start);
      heard[i].rows.push(silent ? null : calibrate(ask(model), model.temperature));
    });
  }

  return {
    push(channels) {
      heard = models.map(() => ({ starts: [], rows: [] }));
      for (let at = 0; at < channels[0].length; at += AT_ONCE) {
        const mono = average(channels.map((channel) => channel.subarray(at, at + AT_ONCE)), positive);
        for (const { resampler } of ways) resampler.push(mono);
      }
      return heard;
    },
    end() {
      heard = models.map(() => ({ starts: [], rows: [] }));
      for (const { resampler, windows } of ways) {
        resampler.end();
        windows.end();
      }
      return heard;
    },
  };
}

// The channels' mean, their positive samples multiplied by a number: their own share is what all samples have, and what
// magnitudes have is 0 in the negative ones' sum. No branch: a processor guesses signs badly.
function average(channels, positive) {
  const mono = new Float32Array(channels[0].length);
  const [all, magnitudes] = [positive + 1, positive - 1].map((factor) => factor / 2 / channels.length);
  for (const channel of channels) {
    for (let i = 0; i < mono.length; i++) mono[i] += channel[i] * all + Math.abs(channel[i]) * magnitudes;
  }
  for (let i = 0; i < mono.length; i++) {
    if (!(Math.abs(mono[i]) <= LOUDEST)) throw new Error("holds NaN or infinity, or numbers far beyond full scale");
  }
  return mono;
}

let [models, song] = [[], null];
onmessage = ({ data }) => {
  try {
    if (data.models) models = data.models.map(makeModel);
    if (data.rate) song = makeSong(models, data);
    if (data.channels) postMessage({ heard: song.push(data.channels) });
    else postMessage(data.end ? { heard: song.end() } : {});
  } catch (error) {
    postMessage({ error: error.message });
  }
};
