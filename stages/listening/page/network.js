// The networks: a model's probabilities from the numbers of its front end.
"use strict";

// The network's operations, each given what its layer is and what comes in; `take` hands out its numbers in order. What
// comes out is another layer's to change, and some layers' next call uses it again.
const LAYERS = {
  relu: () => (x) => {
    for (let i = 0; i < x.length; i++) x[i] = Math.max(x[i], 0);
    return x;
  },

  linear({ inputs, outputs }, take) {
    const [weights, bias] = [take(inputs * outputs), take(outputs)];
    return (x) => {
      const result = Float64Array.from(bias);
      let unit = 0;
      for (; unit + 4 <= outputs; unit += 4) addFour(result, unit, weights, x);
      for (; unit < outputs; unit++) result[unit] += multiplySum(weights, unit * inputs, x);
      return result;
    };
  },

  convolution({ channels, height, width, outputs }, take) { // of 3 x 3; beyond the edges there are zeros
    const [weights, bias] = [take(outputs * channels * 9), take(outputs)];
    const [line, size] = [width + 2, (width + 2) * (height + 2)];
    const padded = new Float64Array(channels * size + 2);
    const plane = new Float64Array(height * line); // its last two columns are of no meaning
    const result = new Float64Array(outputs * height * width);
    return (x) => {
      for (let row = 0; row < channels * height; row++) {
        const [channel, y] = [Math.floor(row / height), row % height];
        padded.set(x.subarray(row * width, (row + 1) * width), channel * size + (y + 1) * line + 1);
      }
      for (let output = 0, at = 0; output < outputs; output++) {
        plane.fill(bias[output]);
        for (let channel = 0; channel < channels; channel++, at += 9) addFiltered(channel * size, at);
        for (let y = 0; y < height; y++) {
          result.set(plane.subarray(y * line, y * line + width), (output * height + y) * width);
        }
      }
      return result;
    };

    function addFiltered(upper, at) { // what is read stays for the next two places of the filter
      const a = weights[at], b = weights[at + 1], c = weights[at + 2];
      const d = weights[at + 3], e = weights[at + 4], f = weights[at + 5];
      const g = weights[at + 6], h = weights[at + 7], i = weights[at + 8];
      const middle = upper + line, lower = middle + line;
      let u = padded[upper], v = padded[upper + 1];
      let m = padded[middle], n = padded[middle + 1];
      let s = padded[lower], t = padded[lower + 1];
      for (let k = 0; k < plane.length; k++) {
        const w = padded[upper + k + 2], o = padded[middle + k + 2], r = padded[lower + k + 2];
        plane[k] += (a * u + b * v + c * w) + (d * m + e * n + f * o) + (g * s + h * t + i * r);
        u = v;
        v = w;
        m = n;
        n = o;
        s = t;
        t = r;
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
    const result = new Float64Array(channels * rows * columns);
    return (x) => {
      result.fill(-Infinity);
      for (let row = 0; row < channels * rows * down; row++) {
        const plane = Math.floor(row / (rows * down)), y = row % (rows * down);
        const from = (plane * height + y) * width, to = (plane * rows + Math.floor(y / down)) * columns;
        for (let i = 0; i < columns * across; i++) {
          const at = to + Math.floor(i / across);
          result[at] = Math.max(result[at], x[from + i]);
        }
      }
      return result;
    };
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

// Add to four results, from one on, the products of their weights and what comes in: what is read of it serves all four.
function addFour(result, unit, weights, x) {
  const n = x.length;
  let a = 0, b = 0, c = 0, d = 0;
  for (let i = 0, p = unit * n, q = p + n, r = q + n, s = r + n; i < n; i++, p++, q++, r++, s++) {
    const number = x[i];
    a += weights[p] * number;
    b += weights[q] * number;
    c += weights[r] * number;
    d += weights[s] * number;
  }
  [a, b, c, d].forEach((sum, i) => { result[unit + i] += sum; });
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
