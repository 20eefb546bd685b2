// From samples to probabilities: the page's worker. Resampling, windows, front end, network; no sound leaves it.
//
// The page sends {models} once, then for each song its {rate} and what its {positive} samples are to be multiplied
// by, pieces of it as {channels}, and {end: true}. The end is answered by {heard}, all else by {}, whatever goes wrong by
// {error}. JavaScript's numbers are of 64 bits, as in the ONNX files: a silent frame is silent to the last bit.
"use strict";

const LOUDEST = 1e6; // full scale is 1: as stages/audio/decode.py has it
const LEAST = 1e-30; // of a probability, before its logarithm: as stages/models/scoring.py has it

function decodeBase64(text, kind) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return new kind(bytes.buffer);
}

// Resampling: a windowed sinc, as soxr's quality HQ has it, by which training heard its songs. Frequencies are shares
// of the lower rate's Nyquist frequency, times are samples of the lower rate. Kaiser's formulas (Oppenheim and Schafer,
// Discrete-Time Signal Processing, section 7.5.3) give the window's shape and half width; they match soxr's gain to
// 0.05 dB, from 0 dB to -55, at the ratios below.
const [EDGE, TRANSITION] = [0.95686, 0.08628]; // the middle of the transition and its width
const ATTENUATIONS = { // dB, measured, by the ratio of the rates; soxr builds its filter in stages, each with a margin
  1.38: 135.1, 1.5: 128.9, 1.84: 136.6, 2: 130.1, 2.76: 135.1, 3: 128.9, 4: 136.5, 5.51: 141.7, 6: 134.3, 11.03: 145.3,
  12: 139.2, 24: 141.6,
};
const ATTENUATION = 135; // of any other ratio
const MOST_PHASES = 1024; // of rates with a longer common period the nearest of so many is taken

function kaiserSinc(attenuation) {
  const beta = 0.1102 * (attenuation - 8.7);
  const half = (attenuation - 7.95) / (2 * 2.285 * Math.PI * TRANSITION);
  const bessel = (x) => { // I0, by its series; its scale does not matter
    let [sum, term] = [1, 1];
    for (let k = 1; term > 1e-17 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
    return sum;
  };
  const sinc = (x) => (x === 0 ? 1 : Math.sin(x) / x);
  const at = (t) =>
    Math.abs(t) < half ? sinc(Math.PI * EDGE * t) * bessel(beta * Math.sqrt(1 - (t / half) ** 2)) : 0;
  return { half, at };
}

function makeResampler(from, to) {
  const divisor = (a, b) => (b ? divisor(b, a % b) : a);
  const phases = Math.min(to / divisor(from, to), MOST_PHASES);
  const scale = Math.min(1, to / from); // samples of the lower rate for one of the source
  const filter = kaiserSinc(ATTENUATIONS[Math.round((100 * from) / to) / 100] ?? ATTENUATION);
  const reach = 2 * Math.ceil(filter.half / scale / 2); // samples of the source on either side, an even number
  const taps = Array.from({ length: phases }, (_, phase) => {
    const row = Float64Array.from({ length: 2 * reach }, (_, i) => filter.at((phase / phases + reach - 1 - i) * scale));
    const sum = row.reduce((a, b) => a + b);
    return row.map((tap) => tap / sum);
  });
  // What came and is still needed; it begins `start` samples after the song does. Before it there is silence.
  let [kept, start, taken, given] = [new Float32Array(reach), -reach, 0, 0];

  function resample(piece, total) {
    const samples = new Float32Array(kept.length + piece.length);
    samples.set(kept);
    samples.set(piece, kept.length);
    const result = [];
    for (; given < total; given++) {
      const step = Math.round(((given * from) / to) * phases);
      const first = Math.floor(step / phases) - reach + 1 - start;
      if (first + 2 * reach > samples.length) break;
      const row = taps[step % phases];
      let [a, b, c, d] = [0, 0, 0, 0]; // four sums side by side: each addition waits for the last one of its own alone
      for (let i = 0, at = first; i < row.length; i += 4, at += 4) {
        a += row[i] * samples[at];
        b += row[i + 1] * samples[at + 1];
        c += row[i + 2] * samples[at + 2];
        d += row[i + 3] * samples[at + 3];
      }
      result.push(a + b + c + d);
    }
    const next = Math.floor(Math.round(((given * from) / to) * phases) / phases) - reach + 1 - start;
    kept = samples.slice(Math.min(next, samples.length));
    start += samples.length - kept.length;
    return Float32Array.from(result);
  }

  if (from === to) return { push: (piece) => piece, end: () => new Float32Array(0) };
  return {
    push(piece) {
      taken += piece.length;
      return resample(piece, Infinity);
    },
    end: () => resample(new Float32Array(2 * reach), Math.round((taken * to) / from)),
  };
}

// Windows of a second, one after the other. The rest is one too if it lasts half a second; zeros fill it up.
function makeWindows(rate, hear) {
  let [clip, filled] = [new Float32Array(rate), 0];
  return {
    push(samples) {
      for (let at = 0; at < samples.length; ) {
        const n = Math.min(rate - filled, samples.length - at);
        clip.set(samples.subarray(at, at + n), filled);
        [filled, at] = [filled + n, at + n];
        if (filled === rate) {
          hear(clip);
          filled = 0;
        }
      }
    },
    end() {
      if (filled >= Math.floor(rate / 2)) hear(clip.fill(0, filled));
    },
  };
}

// The magnitudes of a frame's Fourier transform, squared, from bin 0 to the middle; Cooley and Tukey, of any length.
function makePowers(length) {
  const [cosine, sine] = [Math.cos, Math.sin].map((wave) =>
    Float64Array.from({ length }, (_, i) => wave((2 * Math.PI * i) / length)));
  const [real, imaginary, a, b] = Array.from({ length: 4 }, () => new Float64Array(length));
  const powers = new Float64Array(Math.floor(length / 2) + 1);

  function smallestFactor(n) {
    for (let factor = 2; factor * factor <= n; factor++) if (n % factor === 0) return factor;
    return n;
  }

  function transform(frame, start, stride, n, at) {
    if (n === 1) {
      [real[at], imaginary[at]] = [frame[start], 0];
      return;
    }
    const factor = smallestFactor(n);
    const part = n / factor;
    for (let r = 0; r < factor; r++) transform(frame, start + r * stride, stride * factor, part, at + r * part);
    for (let k = 0; k < part; k++) {
      for (let r = 0; r < factor; r++) {
        a[r] = real[at + r * part + k];
        b[r] = imaginary[at + r * part + k];
      }
      for (let bin = k; bin < n; bin += part) {
        let [x, y] = [0, 0];
        for (let r = 0; r < factor; r++) {
          const angle = ((r * bin) % n) * stride;
          x += a[r] * cosine[angle] + b[r] * sine[angle];
          y += b[r] * cosine[angle] - a[r] * sine[angle];
        }
        [real[at + bin], imaginary[at + bin]] = [x, y];
      }
    }
  }

  return (frame) => {
    transform(frame, 0, 1, length, 0);
    return powers.map((_, bin) => real[bin] ** 2 + imaginary[bin] ** 2);
  };
}

// Each column of a matrix with the rows between its first and its last number that is not 0: a filter is a triangle.
function decodeColumns({ rows, numbers }) {
  const all = decodeBase64(numbers, Float64Array);
  return Array.from({ length: all.length / rows }, (_, i) => {
    const column = all.subarray(i * rows, (i + 1) * rows);
    const first = Math.max(0, column.findIndex((number) => number !== 0));
    return { first, numbers: column.subarray(first, column.findLastIndex((number) => number !== 0) + 1) };
  });
}

function multiply(row, columns) {
  return columns.map(({ first, numbers }) => numbers.reduce((sum, number, i) => sum + number * row[first + i], 0));
}

// The front ends, given a clip: the operations of stages/audio/front_end.py, which made the constants.
const FRONT_ENDS = {
  mfccs({ rate, frames, filters, firstBin, dct }) {
    const [bank, transform] = [decodeColumns(filters), decodeColumns(dct)];
    const length = Math.floor(rate / frames); // the last samples of a second may be left over
    const powers = makePowers(length);
    return (clip) => {
      const mean = clip.reduce((a, b) => a + b, 0) / rate;
      const peak = clip.reduce((most, sample) => Math.max(most, Math.abs(sample - mean)), 0) + 1e-10;
      const coefficients = Array.from({ length: frames }, (_, i) => {
        // A constant changes bin 0 alone, which no filter uses; without it a silent frame is silent.
        const frame = Float64Array.from(clip.subarray(i * length, (i + 1) * length), (x) => (x - clip[i * length]) / peak);
        const magnitudes = powers(frame).subarray(firstBin).map(Math.sqrt);
        return multiply(multiply(magnitudes, bank).map((energy) => Math.log(energy + Number.EPSILON)), transform);
      });
      const average = (of) => transform.map((_, k) => coefficients.reduce((sum, row) => sum + of(row[k], k), 0) / frames);
      const means = average((x) => x);
      return [...means, ...average((x, k) => (x - means[k]) ** 2).map(Math.sqrt)];
    };
  },

  melgrams({ rate, frames, filters, window }) {
    const [bank, hann] = [decodeColumns(filters), decodeBase64(window, Float64Array)];
    const length = Math.floor(rate / frames); // the last samples of a second may be left over
    const powers = makePowers(length);
    const padded = new Float64Array((frames + 1) * length); // centred frames: zeros beyond either end
    return (clip) => {
      padded.set(clip, Math.floor(length / 2));
      const mel = Array.from({ length: frames + 1 }, (_, i) =>
        multiply(powers(hann.map((weight, k) => weight * padded[i * length + k])), bank),
      ).flat().map((energy) => Math.max(energy, 1e-10));
      const most = mel.reduce((a, b) => Math.max(a, b));
      return mel.map((energy) => Math.max(10 * Math.log10(energy / most), -80));
    };
  },
};

// The network's operations, each given what its layer is and what comes in; `take` hands out its numbers in order.
const LAYERS = {
  relu: () => (x) => x.map((value) => Math.max(value, 0)),

  linear({ inputs, outputs }, take) {
    const [weights, bias] = [take(inputs * outputs), take(outputs)];
    return (x) => Float64Array.from(bias, (sum, unit) => {
      for (let i = 0, at = unit * inputs; i < inputs; i++, at++) sum += weights[at] * x[i];
      return sum;
    });
  },

  convolution({ channels, height, width, outputs, kernel }, take) {
    const [weights, bias] = [take(outputs * channels * kernel * kernel), take(outputs)];
    const [size, half] = [height * width, (kernel - 1) / 2];
    return (x) => {
      const result = new Float64Array(outputs * size);
      let at = 0;
      for (let output = 0; output < outputs; output++) {
        const plane = result.subarray(output * size, (output + 1) * size).fill(bias[output]);
        for (let channel = 0; channel < channels; channel++) {
          const from = x.subarray(channel * size, (channel + 1) * size);
          for (let down = -half; down <= half; down++) {
            for (let right = -half; right <= half; right++) addShifted(plane, from, weights[at++], down, right);
          }
        }
      }
      return result;
    };

    function addShifted(plane, from, weight, down, right) { // beyond the edges there are zeros
      const [left, end] = [Math.max(0, -right), Math.min(width, width - right)];
      for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++) {
        const shift = down * width + right;
        for (let i = y * width + left; i < y * width + end; i++) plane[i] += weight * from[i + shift];
      }
    }
  },

  pool({ channels, height, width }) { // the largest of each 2 x 2; an odd last row or column is dropped
    const [rows, columns] = [Math.floor(height / 2), Math.floor(width / 2)];
    return (x) => Float64Array.from({ length: channels * rows * columns }, (_, i) => {
      const [plane, row, column] = [Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns];
      const corner = plane * height * width + 2 * row * width + 2 * column;
      return Math.max(x[corner], x[corner + 1], x[corner + width], x[corner + width + 1]);
    });
  },
};

function makeNetwork({ members, weights }) {
  const numbers = decodeBase64(weights, Float32Array);
  let taken = 0;
  const take = (n) => numbers.subarray(taken, (taken += n));
  const networks = members.map((layers) => layers.map((layer) => LAYERS[layer.kind](layer, take)));
  return (x) => { // an ensemble's probability is the mean of its members'
    const each = networks.map((layers) => softmax(layers.reduce((numbers, layer) => layer(numbers), x)));
    return Array.from(each[0], (_, i) => each.reduce((sum, probabilities) => sum + probabilities[i], 0) / each.length);
  };
}

function softmax(logits) {
  const most = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - most));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

// A song's probabilities: the mean of its seconds' log-probabilities, made to add up to 1 again.
function verdict(seconds) {
  const mean = (i) => seconds.reduce((sum, row) => sum + Math.log(Math.max(row[i], LEAST)), 0) / seconds.length;
  return softmax(seconds[0].map((_, i) => mean(i)));
}

function makeModel(model) {
  const [frontEnd, network] = [FRONT_ENDS[model.name](model), makeNetwork(model)];
  const [mean, std] = [model.mean, model.std].map((text) => decodeBase64(text, Float64Array));
  return {
    rate: model.rate,
    hear: (clip) => network(Float64Array.from(frontEnd(clip), (x, i) => (x - mean[i]) / std[i])),
  };
}

// One song: pieces in, for each model the probabilities of every second and of the whole out.
function makeSong(models, { rate, positive }) {
  const seconds = models.map(() => []);
  const rates = [...new Set(models.map((model) => model.rate))];
  const ways = rates.map((to) => ({
    resampler: makeResampler(rate, to),
    windows: makeWindows(to, (clip) =>
      models.forEach((model, i) => model.rate === to && seconds[i].push(model.hear(clip)))),
  }));
  let silent = true;
  return {
    push(channels) {
      const mono = average(channels, positive);
      if (!mono.every((sample) => Math.abs(sample) <= LOUDEST)) {
        throw new Error("holds NaN or infinity, or numbers far beyond full scale");
      }
      silent &&= mono.every((sample) => sample === 0);
      for (const { resampler, windows } of ways) windows.push(resampler.push(mono));
    },
    end() {
      if (silent) throw new Error("is silent throughout");
      for (const { resampler, windows } of ways) {
        windows.push(resampler.end());
        windows.end();
      }
      if (!seconds[0].length) throw new Error("is shorter than half a second");
      return seconds.map((each) => ({ seconds: each, whole: verdict(each) }));
    },
  };
}

function average(channels, positive) {
  const sums = new Float32Array(channels[0].length);
  for (const channel of channels) {
    for (let i = 0; i < sums.length; i++) sums[i] += channel[i] > 0 ? channel[i] * positive : channel[i];
  }
  return sums.map((sum) => sum / channels.length);
}

let [models, song] = [[], null];
onmessage = ({ data }) => {
  try {
    if (data.models) models = data.models.map(makeModel);
    if (data.rate) song = makeSong(models, data);
    if (data.channels) song.push(data.channels);
    postMessage(data.end ? { heard: song.end() } : {});
  } catch (error) {
    postMessage({ error: error.message });
  }
};
