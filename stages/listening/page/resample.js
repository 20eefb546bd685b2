// Resampling, by a windowed sinc as soxr's quality HQ has it, by which training heard its songs. Kaiser's formulas
// (Oppenheim and Schafer, Discrete-Time Signal Processing, section 7.5.3) give the window's shape and half width; they
// match soxr's gain to 0.05 dB, from 0 dB to -55, at the ratios below.
"use strict";

const [EDGE, TRANSITION] = [0.95686, 0.08628]; // middle and width of the transition, of the lower Nyquist frequency
const ATTENUATIONS = { // dB, measured, by the ratio of the rates; soxr builds its filter in stages, each with a margin
  1.38: 135.1, 1.5: 128.9, 1.84: 136.6, 2: 130.1, 2.76: 135.1, 3: 128.9, 4: 136.5, 5.51: 141.7, 6: 134.3, 11.03: 145.3,
  12: 139.2, 24: 141.6,
};
const ATTENUATION = 135; // of any other ratio, and of the short filter
const SIMPLE = 400; // the largest term of a ratio of rates that Fourier transforms do in one step
const SPARE = 1.25; // else the rate between the two steps is at least so many times the lower one
const BLOCK = 8; // lengths of the steep filter that a Fourier transform holds, at least
const MOST_PHASES = 1024; // of rates with a longer common period the nearest of so many is taken

// Give on what is pushed in at a rate at another one. It is as long: silence pushes out what is left.
function makeResampler(from, to, give) {
  if (from === to) return { push: give, end() {} };
  let [taken, given, total] = [0, 0, Infinity];
  const cut = (samples) => {
    give(samples.subarray(0, Math.max(0, total - given)));
    given += samples.length;
  };
  const filter = makeFilter(from, to, cut);
  return {
    push(samples) {
      taken += samples.length;
      filter(samples);
    },
    end() {
      total = Math.max(given, Math.round((taken * to) / from));
      while (given < total) filter(new Float32Array(from));
    },
  };
}

// In one step if the rates have a simple ratio; else first a steep filter to a rate that is a power of two times the
// source's and has room to spare, then a short one to the rate wanted.
function makeFilter(from, to, give) {
  const low = Math.min(from, to);
  const attenuation = ATTENUATIONS[Math.round((100 * from) / to) / 100] ?? ATTENUATION;
  const divisor = greatestDivisor(from, to);
  if (Math.max(from, to) / divisor <= SIMPLE) {
    return makeSteepFilter(to / divisor, from / divisor, low / from, attenuation, give);
  }
  const power = 2 ** Math.ceil(Math.log2((SPARE * low) / from));
  const short = makeShortFilter(from * power, to, low, give);
  return makeSteepFilter(Math.max(1, power), Math.max(1, 1 / power), low / from, attenuation, short);
}

const greatestDivisor = (a, b) => (b ? greatestDivisor(b, a % b) : a);

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

// The steep filter: `up` samples come out for `down` of the source. Blocks overlap by its length (overlap-save; Oppenheim
// and Schafer, section 8.7.3); two at a time are one transform's real and imaginary part, since the filter mixes neither.
function makeSteepFilter(up, down, scale, attenuation, give) { // scale: samples of the lower rate for one of the source
  const { reach, length, gains, there, back } = designSteepFilter(up, down, scale, attenuation);
  const advance = length - 2 * reach;
  const [x, y] = Array.from({ length: 2 }, () => new Float64Array((length / down) * up)); // filtered
  const samples = new Float64Array(length + advance); // two blocks
  let came = reach; // before the song there is silence

  function filter() {
    const [fromX, fromY] = there(samples.subarray(0, length), samples.subarray(advance));
    for (let bin = 0; bin < gains.length; bin++) {
      const from = bin && length - bin, to = bin && x.length - bin, gain = gains[bin]; // of the negative frequency
      x[bin] = fromX[bin] * gain;
      y[bin] = fromY[bin] * gain;
      x[to] = fromX[from] * gain;
      y[to] = fromY[from] * gain;
    }
    for (const block of back(y, x).reverse()) give(block.subarray((reach / down) * up, ((length - reach) / down) * up));
  }

  return (piece) => {
    for (let at = 0; at < piece.length; ) {
      const more = piece.subarray(at, at + samples.length - came);
      samples.set(more, came);
      [at, came] = [at + more.length, came + more.length];
      if (came < samples.length) return;
      filter();
      samples.copyWithin(0, 2 * advance);
      came -= 2 * advance;
    }
  };
}

const designSteepFilter = remember((up, down, scale, attenuation) => {
  const { half, at } = kaiserSinc(attenuation, EDGE, TRANSITION);
  const reach = down * Math.ceil(half / scale / down); // on either side; blocks begin at samples of both rates
  const blocks = 2 ** Math.ceil(Math.log2((BLOCK * 2 * reach) / down));
  const length = down * blocks;
  const [there, back] = [length, up * blocks].map(makeFourier);
  const [response] =
    there(Float64Array.from({ length }, (_, i) => at(Math.min(i, length - i) * scale)), new Float64Array(length));
  const bins = Math.floor((length * scale) / 2); // beyond the lower Nyquist frequency nothing passes
  return { reach, length, gains: response.slice(0, bins + 1).map((gain) => gain / response[0] / length), there, back };
});

function remember(make) {
  const made = {};
  return (...how) => (made[how] ??= make(...how));
}

// The short filter, from a rate with nothing above half of `low` to another, sample by sample.
function makeShortFilter(from, to, low, give) {
  const { phases, reach, taps } = designShortFilter(from, to, low);
  let [kept, start, given] = [new Float32Array(reach), -reach, 0]; // `kept` begins `start` samples after the song does

  return (piece) => {
    const samples = new Float32Array(kept.length + piece.length);
    samples.set(kept);
    samples.set(piece, kept.length);
    const result = new Float32Array(Math.ceil((samples.length * to) / from));
    for (let n = 0; ; given++, n++) {
      const step = Math.round(((given * from) / to) * phases);
      const first = Math.floor(step / phases) - reach + 1 - start;
      if (first + 2 * reach > samples.length) {
        kept = samples.slice(first);
        start += first;
        return give(result.subarray(0, n));
      }
      result[n] = multiplySum(samples, first, taps[step % phases]);
    }
  };
}

const designShortFilter = remember((from, to, low) => {
  const phases = Math.min(to / greatestDivisor(from, to), MOST_PHASES);
  const { half, at } = kaiserSinc(ATTENUATION, 1, (2 * (from - low)) / from);
  const reach = 2 * Math.ceil(half / 2); // samples of the source on either side, an even number
  const taps = Array.from({ length: phases }, (_, phase) => {
    const row = Float64Array.from({ length: 2 * reach }, (_, i) => at(phase / phases + reach - 1 - i));
    const sum = sumOf(row);
    return row.map((tap) => tap / sum);
  });
  return { phases, reach, taps };
});
