// The front end `timbre`, given a clip: the operations of stages/audio/timbre.py, which made the constants. It is read
// behind listen.js, in the same worker.
"use strict";

const SOFT = 1e-10; // what a power counts for at least
const ROLLOFF = 0.85; // of the sum of a frame's amplitudes
const SPEEDS = [[1, 4], [4, 9], [9, Infinity]]; // bins of a coefficient's spectrum over the short frames

FRONT_ENDS.timbre = function ({ rate, filters, dct, short, long, bands }) {
  const [bank, transform] = [decodeColumns(filters), decodeColumns(dct)];
  const windows = [short, long].map((window) => decodeBase64(window, Float64Array));
  const steps = [40, 10].map((n) => Math.floor(rate / n));
  const [shortPowers, longPowers] = windows.map((window) => makePowers(window.length));
  const starts = windows.map((window, i) =>
    Array.from({ length: Math.floor((rate - window.length) / steps[i]) + 1 }, (_, frame) => frame * steps[i]));
  const movement = makePowers(starts[0].length);

  const powersOf = (clip, i, powers) => starts[i].map((start) =>
    powers(windows[i].map((weight, k) => weight * clip[start + k])).slice());

  return (clip) => {
    const [powers, longs] = [powersOf(clip, 0, shortPowers), powersOf(clip, 1, longPowers)];
    const coefficients = powers.map((frame) =>
      multiply(multiply(frame, bank).map((energy) => Math.log(Math.max(energy, SOFT))), transform));
    const series = transform.map((_, i) => Float64Array.from(coefficients, (row) => row[i]));
    const means = series.map(meanOf);
    const moves = series.map((own, i) =>
      movement(own.map((value) => value - means[i])).map((power) => power / own.length));
    const modulation = SPEEDS.map((bins) => moves.map((power) => Math.log(sumOf(power.slice(...bins)) + 1e-3)));
    const shapes = powers.map((frame, i) => shapeOf(frame, clip, starts[0][i], windows[0].length, rate));
    const shape = shapes[0].map((_, i) => shapes.map((row) => row[i]));
    return Float64Array.from([
      ...means, ...modulation.flat(), ...bands.map((band) => meanOf(longs.map((frame) => contrastOf(frame, band)))),
      meanOf(longs.map(flatnessOf)), ...shape.map(meanOf), ...shape.map(deviationOf),
    ]);
  };
};

// The strongest amplitudes of a band against its weakest, in dB.
function contrastOf(powers, { first, last, tail }) {
  const amplitudes = powers.slice(first, last).map(Math.sqrt).sort();
  const [low, high] = [amplitudes.slice(0, tail), amplitudes.slice(-tail)].map((part) => meanOf(part) + 1e-5);
  return 20 * Math.log10(high / low);
}

// The logarithm of the geometric mean of a frame's powers over their mean.
function flatnessOf(powers) {
  const tonal = powers.subarray(1);
  return meanOf(tonal.map((power) => Math.log(power + SOFT))) - Math.log(meanOf(tonal) + SOFT);
}

// Centroid, bandwidth, rolloff (Hz), flatness, zero-crossing rate and level (dB) of a frame.
function shapeOf(powers, clip, start, length, rate) {
  const amplitudes = powers.map(Math.sqrt);
  const [sum, total] = [sumOf(amplitudes), Math.max(sumOf(amplitudes), 1e-30)];
  const weighted = (of) => amplitudes.reduce((all, amplitude, bin) => all + amplitude * of((bin * rate) / length), 0);
  const centroid = weighted((hertz) => hertz) / total;
  let [rolloff, below] = [0, amplitudes[0]];
  while (below < ROLLOFF * sum) below += amplitudes[++rolloff];
  let [crossings, squares] = [0, clip[start] ** 2];
  for (let k = start + 1; k < start + length; k++) {
    crossings += clip[k] < 0 !== clip[k - 1] < 0;
    squares += clip[k] ** 2;
  }
  return [
    centroid, Math.sqrt(weighted((hertz) => (hertz - centroid) ** 2) / total), (rolloff * rate) / length,
    flatnessOf(powers), crossings / (length - 1), 10 * Math.log10(squares / length + SOFT),
  ];
}

const sumOf = (numbers) => numbers.reduce((a, b) => a + b, 0);
const meanOf = (numbers) => sumOf(numbers) / numbers.length;
const deviationOf = (numbers) => Math.sqrt(meanOf(numbers.map((number) => (number - meanOf(numbers)) ** 2)));
