// The front ends, given a clip, a second of sound: the operations of stages/audio/front_end.py, which made the constants.
"use strict";

const FRONT_ENDS = {
  mfccs({ rate, frames, filters, firstBin, dct }) {
    const [bank, transform] = [decodeColumns(filters), decodeColumns(dct)];
    const length = Math.floor(rate / frames); // the last samples of a second may be left over
    const powers = makePowers(length);
    const frame = new Float64Array(length);
    return (clip) => {
      const mean = meanOf(clip);
      let most = 0;
      for (let k = 0; k < clip.length; k++) most = Math.max(most, Math.abs(clip[k] - mean));
      const peak = most + 1e-10;
      const coefficients = Array.from({ length: frames }, (_, i) => {
        // A constant changes bin 0 alone, which no filter uses; without it a silent frame is silent.
        for (let k = 0, start = i * length; k < length; k++) frame[k] = (clip[start + k] - clip[start]) / peak;
        const magnitudes = rootsOf(powers(frame)).subarray(firstBin);
        return multiply(multiply(magnitudes, bank).map((energy) => Math.log(energy + Number.EPSILON)), transform);
      });
      const series = seriesOf(coefficients);
      return Float64Array.of(...series.map(meanOf), ...series.map(deviationOf));
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
    let sum = 0;
    for (let k = 0; k < numbers.length; k++) sum += numbers[k] * row[first + k];
    result[i] = sum;
  }
  return result;
}

const seriesOf = (rows) => Array.from(rows[0], (_, i) => Float64Array.from(rows, (row) => row[i])); // its columns

// Loops: what a closure is called for is several times slower.

function rootsOf(numbers) {
  const roots = new Float64Array(numbers.length);
  for (let i = 0; i < roots.length; i++) roots[i] = Math.sqrt(numbers[i]);
  return roots;
}

function sumOf(numbers) {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i];
  return sum;
}

const meanOf = (numbers) => sumOf(numbers) / numbers.length;

function deviationOf(numbers) {
  const mean = meanOf(numbers);
  let squares = 0;
  for (let i = 0; i < numbers.length; i++) squares += (numbers[i] - mean) ** 2;
  return Math.sqrt(squares / numbers.length);
}
