/** Tasks that go wrong, or leave something behind. A file that they are given is where they note what happened. */
const { appendFileSync } = require('node:fs');

class LimitError extends Error {
  constructor(message, fields, options) {
    super(message, options);
    this.name = 'LimitError';
    Object.assign(this, fields);
  }
}

class Point {
  constructor(x) {
    this.x = x;
  }
  twice() {
    return 2 * this.x;
  }
}

function fail() {
  const fields = { limit: { most: [1, 2] }, at: new Date(0) };
  throw new LimitError('too many', fields, { cause: new RangeError('out of range') });
}

const THROWN = {
  null: () => null,
  text: () => 'some text',
  DOMException: () => new DOMException('not now', 'InvalidStateError'),
  AggregateError: () => new AggregateError([new TypeError('one'), new RangeError('two')], 'both'),
};

function throwThis(what) {
  throw THROWN[what]();
}

const GIVEN = {
  instance: () => new Point(3),
  values: () => {
    const values = { map: new Map([[1, new Date(0)]]), big: 2n ** 70n, zero: -0 };
    values.itself = values;
    return values;
  },
  symbol: () => ({ [Symbol.for('key')]: 1 }),
  function: () => (x) => x + 1,
  named: () => require('./tasks.cjs').square,
  uncloneable: () => ({ list: [1, new WeakMap()] }),
};

function give(what) {
  return GIVEN[what]();
}

function exit(file) {
  appendFileSync(file, 'x');
  process.exit(0);
}

function endless() {
  for (;;);
}

/** Ends when it is aborted, and tidies up before. */
async function tidy({ file, isOurs }) {
  const note = () => appendFileSync(file, 'tidied');
  if (isOurs) {
    const { currentTask } = require('multiprocessing/pool');
    currentTask().signal.addEventListener('abort', note);
  }
  // Of workerpool.
  this?.worker?.addAbortListener?.(async () => note());
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}

function leaveTimer(file) {
  setTimeout(() => appendFileSync(file, 'fired'), 200);
}

function leaveRejection() {
  setTimeout(() => void Promise.reject(new Error('a stray error')), 100);
}

function whoAmI() {
  return `${process.pid} ${require('node:worker_threads').threadId}`;
}

module.exports = {
  LimitError,
  Point,
  fail,
  throwThis,
  give,
  exit,
  endless,
  tidy,
  leaveTimer,
  leaveRejection,
  whoAmI,
};
