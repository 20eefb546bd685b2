// From samples to probabilities: the page's worker. Resampling, windows, front end, network; no sound leaves it.
//
// The page sends {models} once, then for each song, or section of one, its {rate}, the {hop} from one window to the
// next, the second of the song that it may {begin} at, and those {from} which and {to} which windows are its own; with
// these or after them {samples} of one channel, and with the last of these {end: true}. Each message is answered by what
// has been {heard} since the last one, or, whatever goes wrong, by {error}. JavaScript's numbers are of 64 bits, as in the
// ONNX files: a silent frame is silent to the last bit.
"use strict";

const GATE = 1e-7, MARGIN = 50; // of a silent second: as stages/audio/silence.py has them

function decodeBase64(text, kind) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return new kind(bytes.buffer);
}

// Windows of a second, each `hop` samples after the last, by where they start in the song; the sound comes in from
// sample `at` of it on. The rest is one too if it lasts half a second and was not heard in the one before; zeros fill it
// up. A window's samples are the next one's too.
function makeWindows(rate, hop, at, hear) {
  const clip = new Float32Array(rate);
  let start = Math.ceil(at / hop) * hop;
  let came = at - start; // of its samples; less than none: so many are to be left out before it

  return {
    push(samples) {
      for (let i = 0; i < samples.length; ) {
        const more = samples.subarray(i, i + (came < 0 ? -came : rate - came));
        if (came >= 0) clip.set(more, came);
        [i, came] = [i + more.length, came + more.length];
        if (came < rate) continue;
        hear(clip, start);
        clip.copyWithin(0, hop);
        [start, came] = [start + hop, rate - hop];
      }
    },
    end() {
      if (came < Math.floor(rate / 2) || (start > 0 && came <= rate - hop)) return;
      hear(clip.fill(0, came), start);
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
    hear: (clip) => network(standardize(frontEnd(clip))),
  };

  function standardize(numbers) {
    for (let i = 0; i < numbers.length; i++) numbers[i] = (numbers[i] - mean[i]) / std[i];
    return numbers;
  }
}

// A song, or a section of one: samples in; out comes, for each model, what it heard since it was last asked: the {starts}
// of windows, in seconds, and the probabilities of each, a row, or null if it is silent.
function makeSong(models, { rate, hop, begin = 0, from = 0, to = Infinity }) {
  const nothing = () => models.map(() => ({ starts: [], rows: [] }));
  let heard = nothing();
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
    push(samples) {
      for (const { resampler } of ways) resampler.push(samples);
    },
    end() {
      for (const { resampler, windows } of ways) {
        resampler.end();
        windows.end();
      }
    },
    answer() {
      const answer = heard;
      heard = nothing();
      return answer;
    },
  };
}

let [models, song] = [[], null];
onmessage = ({ data }) => {
  try {
    if (data.models) models = data.models.map(makeModel);
    if (data.rate) song = makeSong(models, data);
    if (data.samples) song.push(data.samples);
    if (data.end) song.end();
    postMessage({ heard: song?.answer() });
  } catch (error) {
    postMessage({ error: error.message });
  }
};
