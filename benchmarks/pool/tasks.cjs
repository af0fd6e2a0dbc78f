/** What the workers of all pools run, each by its name. */
const { setTimeout: wait } = require('node:timers/promises');

function square(x) {
  return x * x;
}

/** Takes a typed array. */
function last(array) {
  return array.at(-1);
}

let kept = new Float64Array();

/** Gives a typed array, the same one each time. */
function array(length) {
  if (kept.length !== length) kept = new Float64Array(length).fill(1.5);
  return kept;
}

/** Computes: about a millisecond for each million. */
function spin(rounds) {
  let x = 1;
  for (let i = 0; i < rounds; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return x;
}

/** Leaves its worker free for nothing else, and its processor for all. */
async function pause(milliseconds) {
  await wait(milliseconds);
}

module.exports = { ...require('./behaviours.cjs'), square, last, array, spin, pause };
