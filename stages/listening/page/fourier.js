// Fourier transforms of any length.
"use strict";

// The transform, a pass for each factor, by Stockham's algorithm (Van Loan, Computational Frameworks for the Fast Fourier
// Transform, section 1.7). Given real and imaginary parts it returns them transformed, in arrays that the next call uses
// again. With the two exchanged, in and out, it is the inverse, times the length.
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
      passes.push({ by: factor === 4 ? byFour : factor === 2 ? byTwo : makeByOdd(factor), n, stride: length / n / factor });
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

  function byTwo(n, stride, x, y, toX, toY) {
    const part = n * stride;
    for (let k = 0; k < n; k++) {
      const c = cosine[k * stride], s = sine[k * stride];
      for (let i = k * stride, to = 2 * i; i < (k + 1) * stride; i++, to++) {
        const lessX = x[i] - x[i + part], lessY = y[i] - y[i + part];
        toX[to] = x[i] + x[i + part];
        toY[to] = y[i] + y[i + part];
        toX[to + stride] = lessX * c + lessY * s;
        toY[to + stride] = lessY * c - lessX * s;
      }
    }
  }

  // The sums and the differences of samples whose numbers add up to the factor serve two results each.
  function makeByOdd(factor) {
    const half = (factor - 1) / 2;
    const [sumX, sumY, lessX, lessY] = Array.from({ length: 4 }, () => new Float64Array(half));
    const [cosines, sines] = [cosine, sine].map((wave) => Float64Array.from({ length: half * half }, (_, i) =>
      wave[(((Math.floor(i / half) + 1) * (i % half + 1)) % factor) * (length / factor)]));
    return (n, stride, x, y, toX, toY) => {
      const part = n * stride;
      for (let k = 0; k < n; k++) {
        for (let i = k * stride, to = factor * i; i < (k + 1) * stride; i++, to++) {
          let allX = x[i], allY = y[i];
          for (let r = 0, a = i + part, b = i + (factor - 1) * part; r < half; r++, a += part, b -= part) {
            allX += sumX[r] = x[a] + x[b];
            allY += sumY[r] = y[a] + y[b];
            lessX[r] = x[a] - x[b];
            lessY[r] = y[a] - y[b];
          }
          toX[to] = allX;
          toY[to] = allY;
          for (let t = 1, at = 0; t <= half; t++) {
            let evenX = x[i], evenY = y[i], oddX = 0, oddY = 0;
            for (let r = 0; r < half; r++, at++) {
              evenX += sumX[r] * cosines[at];
              evenY += sumY[r] * cosines[at];
              oddX += lessY[r] * sines[at];
              oddY -= lessX[r] * sines[at];
            }
            const near = k * t * stride, far = k * (factor - t) * stride;
            const a = to + t * stride, b = to + (factor - t) * stride;
            toX[a] = (evenX + oddX) * cosine[near] + (evenY + oddY) * sine[near];
            toY[a] = (evenY + oddY) * cosine[near] - (evenX + oddX) * sine[near];
            toX[b] = (evenX - oddX) * cosine[far] + (evenY - oddY) * sine[far];
            toY[b] = (evenY - oddY) * cosine[far] - (evenX - oddX) * sine[far];
          }
        }
      }
    };
  }

  return (x, y) => {
    passes.forEach(({ by, n, stride }, i) => {
      const [toX, toY] = buffers[i % 2];
      by(n, stride, x, y, toX, toY);
      [x, y] = [toX, toY];
    });
    return [x, y];
  };
}

// The magnitudes of a frame's Fourier transform, squared, from bin 0 to the middle, in an array that the next call uses
// again. A frame of even length is taken for a complex one of half the length, and what comes out unravelled (Press et
// al., Numerical Recipes, section 12.3).
function makePowers(length) {
  const powers = new Float64Array(Math.floor(length / 2) + 1);
  const half = length / 2;
  if (half % 1) {
    const [transform, silence] = [makeFourier(length), new Float64Array(length)];
    return (frame) => {
      const [x, y] = transform(frame, silence);
      for (let bin = 0; bin < powers.length; bin++) powers[bin] = x[bin] ** 2 + y[bin] ** 2;
      return powers;
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
