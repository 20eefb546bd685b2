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
const AT_ONCE = 2 ** 16; // samples, which the processor's cache holds

function decodeBase64(text, kind) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return new kind(bytes.buffer);
}

// The Fourier transform of any length, a pass for each factor, by Stockham's algorithm (Van Loan, Computational
// Frameworks for the Fast Fourier Transform, section 1.7). Given real and imaginary parts it returns them transformed,
// in arrays that the next call uses again. With the two exchanged, in and out, it is the inverse, times the length.
function makeFourier(length) {
  const [cosine, sine] = [Math.cos, Math.sin].map((wave) =>
    Float64Array.from({ length }, (_, i) => wave((2 * Math.PI * i) / length)));
  const buffers = Array.from({ length: 2 }, () => [new Float64Array(length), new Float64Array(length)]);
  const passes = [];
  for (let n = length, factor = 4; n > 1; ) {
    if (n % factor) {
      factor = factor === 4 ? 2 : factor === 2 ? 3 : factor + 2;
    } else {
      n /= factor;
      passes.push({ factor, n, stride: length / n / factor });
    }
  }

  function byFour(n, stride, x, y, toX, toY) {
    const part = n * stride;
    for (let k = 0; k < n; k++) {
      const at = k * stride;
      const c1 = cosine[at], c2 = cosine[2 * at], c3 = cosine[3 * at];
      const s1 = sine[at], s2 = sine[2 * at], s3 = sine[3 * at];
      for (let i = at, to = 4 * at; i < at + stride; i++, to++) {
        const evenX = x[i] + x[i + 2 * part], evenY = y[i] + y[i + 2 * part];
        const lessX = x[i] - x[i + 2 * part], lessY = y[i] - y[i + 2 * part];
        const oddX = x[i + part] + x[i + 3 * part], oddY = y[i + part] + y[i + 3 * part];
        const turnX = y[i + part] - y[i + 3 * part], turnY = x[i + 3 * part] - x[i + part]; // times -i
        const aX = lessX + turnX, aY = lessY + turnY;
        const bX = evenX - oddX, bY = evenY - oddY;
        const cX = lessX - turnX, cY = lessY - turnY;
        toX[to] = evenX + oddX;
        toY[to] = evenY + oddY;
        toX[to + stride] = aX * c1 + aY * s1;
        toY[to + stride] = aY * c1 - aX * s1;
        toX[to + 2 * stride] = bX * c2 + bY * s2;
        toY[to + 2 * stride] = bY * c2 - bX * s2;
        toX[to + 3 * stride] = cX * c3 + cY * s3;
        toY[to + 3 * stride] = cY * c3 - cX * s3;
      }
    }
  }

  function byAny(factor, n, stride, x, y, toX, toY) {
    const [part, root] = [n * stride, length / factor];
    for (let k = 0; k < n; k++) {
      for (let t = 0; t < factor; t++) {
        const c = cosine[k * t * stride], s = sine[k * t * stride];
        for (let i = k * stride, to = (factor * k + t) * stride; i < (k + 1) * stride; i++, to++) {
          let sumX = x[i], sumY = y[i];
          for (let r = 1, from = i + part; r < factor; r++, from += part) {
            const angle = ((r * t) % factor) * root;
            sumX += x[from] * cosine[angle] + y[from] * sine[angle];
            sumY += y[from] * cosine[angle] - x[from] * sine[angle];
          }
          toX[to] = sumX * c + sumY * s;
          toY[to] = sumY * c - sumX * s;
        }
      }
    }
  }

  return (x, y) => {
    passes.forEach(({ factor, n, stride }, i) => {
      const [toX, toY] = buffers[i % 2];
      if (factor === 4) byFour(n, stride, x, y, toX, toY);
      else byAny(factor, n, stride, x, y, toX, toY);
      [x, y] = [toX, toY];
    });
    return [x, y];
  };
}

// Resampling in two steps, in all a windowed sinc as soxr's quality HQ has it, by which training heard its songs: first
// a steep filter, by Fourier transforms, to a rate that is a power of two times the source's and has room to spare,
// then a short one to the rate wanted. Kaiser's formulas (Oppenheim and Schafer, Discrete-Time Signal Processing, section
// 7.5.3) give the window's shape and half width; they match soxr's gain to 0.05 dB, from 0 dB to -55, at the ratios
// below.
const [EDGE, TRANSITION] = [0.95686, 0.08628]; // middle and width of the transition, of the lower Nyquist frequency
const ATTENUATIONS = { // dB, measured, by the ratio of the rates; soxr builds its filter in stages, each with a margin
  1.38: 135.1, 1.5: 128.9, 1.84: 136.6, 2: 130.1, 2.76: 135.1, 3: 128.9, 4: 136.5, 5.51: 141.7, 6: 134.3, 11.03: 145.3,
  12: 139.2, 24: 141.6,
};
const ATTENUATION = 135; // of any other ratio, and of the short filter
const SPARE = 1.25; // the rate between the two steps is at least so many times the lower one
const BLOCK = 8; // lengths of the steep filter that a Fourier transform holds, at least
const MOST_PHASES = 1024; // of rates with a longer common period the nearest of so many is taken

// A low-pass filter at time t, by the middle and the width of its transition in shares of the Nyquist frequency.
function kaiserSinc(attenuation, edge, transition) {
  const beta = 0.1102 * (attenuation - 8.7);
  const half = (attenuation - 7.95) / (2 * 2.285 * Math.PI * transition);
  const bessel = (x) => { // I0, by its series; its scale does not matter
    let [sum, term] = [1, 1];
    for (let k = 1; term > 1e-17 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
    return sum;
  };
  const sinc = (x) => (x === 0 ? 1 : Math.sin(x) / x);
  const at = (t) =>
    Math.abs(t) < half ? sinc(Math.PI * edge * t) * bessel(beta * Math.sqrt(1 - (t / half) ** 2)) : 0;
  return { half, at };
}

// The steep filter, from a rate to 2 ** power times that. Blocks overlap by its length (overlap-save; Oppenheim and
// Schafer, section 8.7.3); two at a time are one transform's real and imaginary part, since the filter mixes neither.
function makeSteepFilter(power, scale, attenuation) { // scale: samples of the lower rate for one of the source
  const { half, at } = kaiserSinc(attenuation, EDGE, TRANSITION);
  const grain = Math.max(2, 2 ** -power); // of the source, to which blocks are aligned
  const reach = grain * Math.ceil(half / scale / grain);
  const length = 2 ** Math.ceil(Math.log2(BLOCK * 2 * reach));
  const [there, back] = [length, length * 2 ** power].map(makeFourier);
  const gains = Float64Array.from(
    there(Float64Array.from({ length }, (_, i) => at(Math.min(i, length - i) * scale)), new Float64Array(length))[0]);
  const bins = Math.floor((length * scale) / 2); // beyond the lower Nyquist frequency nothing passes
  const [first, second] = Array.from({ length: 2 }, () => new Float64Array(length)); // blocks
  const [x, y] = Array.from({ length: 2 }, () => new Float64Array(length * 2 ** power)); // filtered
  const advance = length - 2 * reach;
  let kept = new Float32Array(reach); // what came and is still needed; before the song there is silence

  function filter(samples) { // two blocks
    first.set(samples.subarray(0, length));
    second.set(samples.subarray(advance));
    const [fromX, fromY] = there(first, second);
    x.fill(0);
    y.fill(0);
    for (let bin = -bins; bin <= bins; bin++) {
      const [from, to] = [bin < 0 ? bin + length : bin, bin < 0 ? bin + x.length : bin];
      const gain = gains[Math.abs(bin)] / gains[0] / length;
      x[to] = fromX[from] * gain;
      y[to] = fromY[from] * gain;
    }
    const inside = [reach * 2 ** power, (length - reach) * 2 ** power];
    return back(y, x).reverse().map((block) => block.slice(...inside));
  }

  return (piece) => {
    const samples = join([kept, piece]);
    const result = [];
    let start = 0;
    for (; start + length + advance <= samples.length; start += 2 * advance) {
      result.push(...filter(samples.subarray(start, start + length + advance)));
    }
    kept = samples.slice(start);
    return join(result);
  };
}

// The short filter, from a rate with nothing above half of `low` to another, sample by sample.
function makeShortFilter(from, to, low) {
  const divisor = (a, b) => (b ? divisor(b, a % b) : a);
  const phases = Math.min(to / divisor(from, to), MOST_PHASES);
  const { half, at } = kaiserSinc(ATTENUATION, 1, (2 * (from - low)) / from);
  const reach = 2 * Math.ceil(half / 2); // samples of the source on either side, an even number
  const taps = Array.from({ length: phases }, (_, phase) => {
    const row = Float64Array.from({ length: 2 * reach }, (_, i) => at(phase / phases + reach - 1 - i));
    const sum = row.reduce((a, b) => a + b);
    return row.map((tap) => tap / sum);
  });
  let [kept, start, given] = [new Float32Array(reach), -reach, 0]; // `kept` begins `start` samples after the song does

  return (piece) => {
    const samples = join([kept, piece]);
    const result = new Float32Array(Math.ceil((samples.length * to) / from));
    let n = 0;
    for (; ; given++, n++) {
      const step = Math.round(((given * from) / to) * phases);
      const first = Math.floor(step / phases) - reach + 1 - start;
      if (first + 2 * reach > samples.length) {
        kept = samples.slice(first);
        start += first;
        return result.subarray(0, n);
      }
      result[n] = multiplySum(samples, first, taps[step % phases]);
    }
  };
}

function makeResampler(from, to) {
  if (from === to) return { push: (piece) => piece, end: () => new Float32Array(0) };
  const low = Math.min(from, to);
  let power = Math.ceil(Math.log2((SPARE * low) / from));
  if (from * 2 ** (power - 1) === to) power--; // with nothing to spare, and no second step
  const between = from * 2 ** power;
  const steep = makeSteepFilter(power, low / from, ATTENUATIONS[Math.round((100 * from) / to) / 100] ?? ATTENUATION);
  const short = between === to ? (piece) => piece : makeShortFilter(between, to, low);
  let [taken, given] = [0, 0];

  function push(piece) {
    taken += piece.length;
    const result = short(steep(piece));
    given += result.length;
    return result;
  }

  function end() { // silence pushes out what is left
    const total = Math.round((taken * to) / from);
    const rest = [];
    while (given < total) rest.push(push(new Float32Array(from)));
    return join(rest).subarray(0, join(rest).length - (given - total));
  }

  return { push, end };
}

// The sum of the products of single-precision numbers, from one on, and double-precision ones. Four sums side by side:
// each addition waits for the last one of its own alone.
function multiplySum(singles, start, doubles) {
  let a = 0, b = 0, c = 0, d = 0, i = 0;
  for (; i + 4 <= doubles.length; i += 4) {
    a += singles[start + i] * doubles[i];
    b += singles[start + i + 1] * doubles[i + 1];
    c += singles[start + i + 2] * doubles[i + 2];
    d += singles[start + i + 3] * doubles[i + 3];
  }
  for (; i < doubles.length; i++) a += singles[start + i] * doubles[i];
  return a + b + c + d;
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

// The magnitudes of a frame's Fourier transform, squared, from bin 0 to the middle. A frame of even length is taken for
// a complex one of half the length, and what comes out unravelled (Press et al., Numerical Recipes, section 12.3).
function makePowers(length) {
  const powers = new Float64Array(Math.floor(length / 2) + 1);
  const half = length / 2;
  if (half % 1) {
    const [transform, silence] = [makeFourier(length), new Float64Array(length)];
    return (frame) => {
      const [x, y] = transform(frame, silence);
      return powers.map((_, bin) => x[bin] ** 2 + y[bin] ** 2);
    };
  }
  const [transform, even, odd] = [makeFourier(half), new Float64Array(half), new Float64Array(half)];
  const [cosine, sine] = [Math.cos, Math.sin].map((wave) => powers.map((_, i) => wave((2 * Math.PI * i) / length)));
  return (frame) => {
    for (let i = 0; i < half; i++) {
      even[i] = frame[2 * i];
      odd[i] = frame[2 * i + 1];
    }
    const [x, y] = transform(even, odd);
    for (let bin = 0; bin <= half; bin++) {
      const i = bin % half, j = (half - bin) % half;
      const evenX = (x[i] + x[j]) / 2, evenY = (y[i] - y[j]) / 2; // the even samples' transform, and the odd ones'
      const oddX = (y[i] + y[j]) / 2, oddY = (x[j] - x[i]) / 2;
      const realPart = evenX + oddX * cosine[bin] + oddY * sine[bin];
      const imaginaryPart = evenY + oddY * cosine[bin] - oddX * sine[bin];
      powers[bin] = realPart * realPart + imaginaryPart * imaginaryPart;
    }
    return powers;
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
  const result = new Float64Array(columns.length);
  for (let i = 0; i < columns.length; i++) {
    const { first, numbers } = columns[i];
    for (let k = 0; k < numbers.length; k++) result[i] += numbers[k] * row[first + k];
  }
  return result;
}

// The front ends, given a clip: the operations of stages/audio/front_end.py, which made the constants.
const FRONT_ENDS = {
  mfccs({ rate, frames, filters, firstBin, dct }) {
    const [bank, transform] = [decodeColumns(filters), decodeColumns(dct)];
    const length = Math.floor(rate / frames); // the last samples of a second may be left over
    const powers = makePowers(length);
    const frame = new Float64Array(length);
    return (clip) => {
      const mean = clip.reduce((a, b) => a + b, 0) / rate;
      const peak = clip.reduce((most, sample) => Math.max(most, Math.abs(sample - mean)), 0) + 1e-10;
      const coefficients = Array.from({ length: frames }, (_, i) => {
        // A constant changes bin 0 alone, which no filter uses; without it a silent frame is silent.
        for (let k = 0, start = i * length; k < length; k++) frame[k] = (clip[start + k] - clip[start]) / peak;
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
    const [frame, mel] = [new Float64Array(length), new Float64Array((frames + 1) * bank.length)];
    return (clip) => {
      padded.set(clip, Math.floor(length / 2));
      for (let i = 0; i <= frames; i++) {
        for (let k = 0; k < length; k++) frame[k] = hann[k] * padded[i * length + k];
        mel.set(multiply(powers(frame), bank), i * bank.length);
      }
      const most = mel.reduce((a, b) => Math.max(a, b), 1e-10);
      return mel.map((energy) => Math.max(10 * Math.log10(Math.max(energy, 1e-10) / most), -80));
    };
  },
};

// The network's operations, each given what its layer is and what comes in; `take` hands out its numbers in order.
const LAYERS = {
  relu: () => (x) => x.map((value) => Math.max(value, 0)),

  linear({ inputs, outputs }, take) {
    const [weights, bias] = [take(inputs * outputs), take(outputs)];
    return (x) => Float64Array.from(bias, (start, unit) => start + multiplySum(weights, unit * inputs, x));
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

  meanAndDeviation({ times, columns }) { // each column's mean, and then its deviation
    return (x) => {
      const average = (of) => Float64Array.from({ length: columns }, (_, i) => {
        let sum = 0;
        for (let at = i; at < x.length; at += columns) sum += of(x[at], i);
        return sum / times;
      });
      const means = average((number) => number);
      return Float64Array.from([...means, ...average((number, i) => (number - means[i]) ** 2).map(Math.sqrt)]);
    };
  },

  kernels({ vectors, columns }, take) { // how near a row is to each support vector
    const [rows, centre, scale, [gamma]] = [vectors * columns, columns, columns, 1].map(take);
    return (x) => {
      const row = x.map((number, i) => (number - centre[i]) / scale[i]);
      return Float64Array.from({ length: vectors }, (_, vector) => {
        let square = 0;
        for (let i = 0, at = vector * columns; i < columns; i++, at++) square += (row[i] - rows[at]) ** 2;
        return Math.exp(-gamma * square);
      });
    };
  },

  pool({ channels, height, width, down, across }) { // the largest of each down x across; what is left over is dropped
    const [rows, columns] = [Math.floor(height / down), Math.floor(width / across)];
    return (x) => Float64Array.from({ length: channels * rows * columns }, (_, i) => {
      const [plane, row, column] = [Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns];
      const corner = plane * height * width + down * row * width + across * column;
      let largest = -Infinity;
      for (let y = 0; y < down; y++) {
        for (let i = 0; i < across; i++) largest = Math.max(largest, x[corner + y * width + i]);
      }
      return largest;
    });
  },

  meanAndMaximum({ channels, height, width }) { // the means over the rows of all channels, then the largest numbers
    const size = channels * width;
    return (x) => {
      const result = new Float64Array(2 * size).fill(-Infinity, size);
      for (let i = 0; i < channels * height * width; i++) {
        const to = Math.floor(i / (height * width)) * width + i % width;
        result[to] += x[i] / height;
        result[size + to] = Math.max(result[size + to], x[i]);
      }
      return result;
    };
  },
};

// A model's probabilities, given a sample: the mean of its members', which are networks or have members themselves.
function makeNetwork({ members, weights }) {
  const numbers = decodeBase64(weights, Float32Array);
  let taken = 0;
  const take = (n) => numbers.subarray(taken, (taken += n));
  const makeMember = (member) => {
    if (Array.isArray(member[0])) {
      const models = member.map(makeMember);
      return (x) => mean(models.map((model) => model(x)));
    }
    const layers = member.map((layer) => LAYERS[layer.kind](layer, take));
    return (x) => softmax(layers.reduce((numbers, layer) => layer(numbers), x));
  };
  return makeMember(members);
}

function mean(answers) {
  return answers[0].map((_, i) => answers.reduce((sum, answer) => sum + answer[i], 0) / answers.length);
}

// Probabilities whose logarithms are divided by a temperature: the same as to divide logits by it.
function calibrate(probabilities, temperature) {
  return Array.from(softmax(probabilities.map((probability) => Math.log(probability) / temperature)));
}

function softmax(logits) {
  const most = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - most));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

// Whether a second's mean square without its edges, where a resampler rings, is below GATE.
function isSilent(clip) {
  const edge = Math.floor(clip.length / MARGIN);
  const inside = clip.subarray(edge, clip.length - edge);
  return inside.reduce((sum, sample) => sum + sample * sample, 0) / inside.length < GATE;
}

function makeModel(model) {
  if (model.parts) return model; // the mean of others
  const [frontEnd, network] = [FRONT_ENDS[model.name](model), makeNetwork(model)];
  const [mean, std] = [model.mean, model.std].map((text) => decodeBase64(text, Float64Array));
  return {
    ...model,
    hear: (clip) => network(Float64Array.from(frontEnd(clip), (x, i) => (x - mean[i]) / std[i])),
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
    return { resampler: makeResampler(rate, own), windows };
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
        for (const { resampler, windows } of ways) windows.push(resampler.push(mono));
      }
      return heard;
    },
    end() {
      heard = models.map(() => ({ starts: [], rows: [] }));
      for (const { resampler, windows } of ways) {
        windows.push(resampler.end());
        windows.end();
      }
      return heard;
    },
  };
}

function average(channels, positive) {
  const [mono, share] = [new Float32Array(channels[0].length), 1 / channels.length];
  for (const channel of channels) {
    if (positive === 1) for (let i = 0; i < mono.length; i++) mono[i] += channel[i];
    else for (let i = 0; i < mono.length; i++) mono[i] += channel[i] * (channel[i] > 0 ? positive : 1);
  }
  for (let i = 0; i < mono.length; i++) {
    mono[i] *= share;
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
