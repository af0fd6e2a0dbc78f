/**
 * Numbers of 16 bits, IEEE 754's binary16, which not every Node has an array for: they are held as those of 32.
 */
const bits = new Uint32Array(1);
const floats = new Float32Array(bits.buffer);

/** Each of them is one of 32 bits. */
export function fromHalf(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  for (const [i, half] of halves.entries()) {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0x1f) values[i] = fraction === 0 ? sign * Infinity : Number.NaN;
    else if (exponent === 0) values[i] = sign * fraction * 2 ** -24;
    else values[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return values;
}

/** The nearest ones, of two that are as near the even one. */
export function toHalf(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length);
  for (const [i, value] of values.entries()) {
    floats[0] = value;
    const all = bits[0] as number;
    const sign = (all >>> 16) & 0x8000;
    const size = Math.abs(value);
    let half: number;
    if (Number.isNaN(value)) half = 0x7e00;
    else if (size >= 65_520) half = 0x7c00;
    else if (size < 2 ** -14) half = even(size * 2 ** 24);
    else {
      const exponent = ((all >>> 23) & 0xff) - 127;
      // A fraction that is rounded up to the next power of two carries into the exponent.
      half = ((exponent + 15) << 10) + even((size / 2 ** exponent - 1) * 1024);
    }
    halves[i] = sign | half;
  }
  return halves;
}

function even(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}
