"use strict";
// Score maps in the browser: the arithmetic of wsol.maps, so that a report holds them at their low resolution.
const wsol = (() => {
  /** Cubic convolution, a = -0.75: four weights for a sample that lies t behind the second of four points. */
  function cubic(t) {
    const a = -0.75;
    const near = (x) => ((a + 2) * x - (a + 3)) * x * x + 1;
    const far = (x) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return [far(t + 1), near(t), near(1 - t), far(2 - t)];
  }

  /** For each target pixel the four source pixels, clamped to the border, and their weights. */
  function taps(source, target) {
    return Array.from({ length: target }, (_, pixel) => {
      const place = (pixel + 0.5) * source / target - 0.5;
      const base = Math.floor(place);
      const at = [-1, 0, 1, 2].map((step) => Math.min(Math.max(base + step, 0), source - 1));
      return { at, weights: cubic(place - base) };
    });
  }

  /** Bicubic interpolation (align_corners = false) of values (h × w, row by row) to H × W. */
  function upsample(values, [h, w], [H, W]) {
    const origin = values[0]; // taken out and put back, so that a constant map stays exactly constant
    const rows = taps(h, H);
    const columns = taps(w, W);
    const wide = new Float64Array(h * W);
    for (let y = 0; y < h; y++) {
      columns.forEach(({ at, weights }, x) => {
        for (let k = 0; k < 4; k++) wide[y * W + x] += weights[k] * (values[y * w + at[k]] - origin);
      });
    }
    const result = new Float64Array(H * W).fill(origin);
    rows.forEach(({ at, weights }, y) => {
      for (let x = 0; x < W; x++) {
        for (let k = 0; k < 4; k++) result[y * W + x] += weights[k] * wide[at[k] * W + x];
      }
    });
    return result;
  }

  /** Min–max to [0, 1]; zeros for a map that is constant or holds a value that is not finite. */
  function normalize(values) {
    let low = Infinity;
    let high = -Infinity;
    let finite = true;
    for (const value of values) {
      finite &&= Number.isFinite(value);
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    return finite && high > low ? values.map((value) => (value - low) / (high - low)) : values.map(() => 0);
  }

  const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

  async function inflate(data) {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** A map as it is embedded: base64 of little-endian float32, or of 8-bit levels compressed by zlib. */
  async function decode({ shape, float32, uint8_zlib: levels }) {
    const values = levels
      ? Float32Array.from(await inflate(bytes(levels)), (level) => level / 255)
      : new Float32Array(bytes(float32).buffer);
    return { shape, values };
  }

  /** A decoded map as Localization.map_at gives it. */
  const mapAt = ({ shape, values }, size) => normalize(upsample(values, shape, size));

  /** Runs of pixel edges between map levels above T and not above: an SVG path in the map's pixels. */
  function levelPath(map, [H, W], level) {
    const inside = (y, x) => Math.floor(255 * map[y * W + x]) > level;
    const path = [];
    for (let y = 1; y < H; y++) {
      for (let x = 0, start = -1; x <= W; x++) {
        const edge = x < W && inside(y, x) !== inside(y - 1, x);
        if (edge && start < 0) start = x;
        if (!edge && start >= 0) { path.push(`M${start} ${y}H${x}`); start = -1; }
      }
    }
    for (let x = 1; x < W; x++) {
      for (let y = 0, start = -1; y <= H; y++) {
        const edge = y < H && inside(y, x) !== inside(y, x - 1);
        if (edge && start < 0) start = y;
        if (!edge && start >= 0) { path.push(`M${x} ${start}V${y}`); start = -1; }
      }
    }
    return path.join("");
  }

  return Object.freeze({ bytes, decode, upsample, normalize, mapAt, levelPath });
})();
