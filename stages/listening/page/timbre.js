// The front end `timbre`, given a clip: the operations of stages/audio/timbre.py, which made the constants.
"use strict";

const SOFT = 1e-10; // what a power counts for at least
const ROLLOFF = 0.85; // of the sum of a frame's amplitudes
const SPEEDS = [[1, 4], [4, 9], [9, Infinity]]; // bins of a coefficient's spectrum over the short frames

FRONT_ENDS.timbre = function ({ rate, filters, dct, short, long, bands }) {
  const [bank, transform] = [decodeColumns(filters), decodeColumns(dct)];
  const [ofShort, ofLong] = [makeFrames(rate, short, 40), makeFrames(rate, long, 10)];
  let movement = null; // of as many numbers as there are short frames

  return (clip) => {
    const [coefficients, shapes] = [[], []];
    ofShort(clip, (powers, frame) => {
      const energies = multiply(powers, bank).map((energy) => Math.log(Math.max(energy, SOFT)));
      coefficients.push(multiply(energies, transform));
      shapes.push(shapeOf(powers, frame, rate));
    });
    const [contrasts, flatness] = [[], []];
    ofLong(clip, (powers) => {
      contrasts.push(bands.map((band) => contrastOf(powers, band)));
      flatness.push(flatnessOf(powers));
    });
    const [series, shape] = [coefficients, shapes].map(seriesOf);
    const means = series.map(meanOf);
    movement ??= makePowers(coefficients.length);
    const moves = series.map((own, i) =>
      movement(own.map((value) => value - means[i])).map((power) => power / own.length));
    const modulation = SPEEDS.map((bins) => moves.map((power) => Math.log(sumOf(power.subarray(...bins)) + 1e-3)));
    return Float64Array.of(...means, ...modulation.flat(), ...seriesOf(contrasts).map(meanOf), meanOf(flatness),
      ...shape.map(meanOf), ...shape.map(deviationOf));
  };
};

// A function that shows another the powers of each of a clip's frames, so many starting in a second, and its samples.
function makeFrames(rate, text, n) {
  const [window, step] = [decodeBase64(text, Float64Array), Math.floor(rate / n)];
  const [powers, weighted] = [makePowers(window.length), new Float64Array(window.length)];
  return (clip, show) => {
    for (let start = 0; start + window.length <= rate; start += step) {
      const frame = clip.subarray(start, start + window.length);
      for (let k = 0; k < window.length; k++) weighted[k] = window[k] * frame[k];
      show(powers(weighted), frame);
    }
  };
}

// The strongest amplitudes of a band against its weakest, in dB.
function contrastOf(powers, { first, last, tail }) {
  const sorted = powers.slice(first, last).sort();
  const [low, high] = [sorted.subarray(0, tail), sorted.subarray(-tail)].map((part) => meanOf(rootsOf(part)) + 1e-5);
  return 20 * Math.log10(high / low);
}

// The logarithm of the geometric mean of a frame's powers over their mean. The logarithm of a product is several's at
// once; one of eight is far from what numbers hold.
function flatnessOf(powers) {
  let logarithms = 0;
  for (let bin = 1, product = 1; bin < powers.length; bin++) {
    product *= powers[bin] + SOFT;
    if (bin % 8 && bin < powers.length - 1) continue;
    logarithms += Math.log(product);
    product = 1;
  }
  const tonal = powers.subarray(1);
  return logarithms / tonal.length - Math.log(meanOf(tonal) + SOFT);
}

// Centroid, bandwidth, rolloff (Hz), flatness, zero-crossing rate and level (dB) of a frame.
function shapeOf(powers, frame, rate) {
  const [amplitudes, hertz] = [rootsOf(powers), rate / frame.length];
  const sum = sumOf(amplitudes);
  let [moment, spread] = [0, 0];
  for (let bin = 0; bin < amplitudes.length; bin++) moment += amplitudes[bin] * bin;
  const centroid = moment / Math.max(sum, 1e-30);
  for (let bin = 0; bin < amplitudes.length; bin++) spread += amplitudes[bin] * (bin - centroid) ** 2;
  let [rolloff, below] = [0, amplitudes[0]];
  while (below < ROLLOFF * sum) below += amplitudes[++rolloff];
  let crossings = 0;
  for (let k = 1; k < frame.length; k++) crossings += Number(frame[k] < 0) ^ Number(frame[k - 1] < 0);
  return [
    centroid * hertz, Math.sqrt(spread / Math.max(sum, 1e-30)) * hertz, rolloff * hertz, flatnessOf(powers),
    crossings / (frame.length - 1), 10 * Math.log10(multiplySum(frame, 0, frame) / frame.length + SOFT),
  ];
}
