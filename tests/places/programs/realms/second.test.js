const mp = require('multiprocessing');

test('the process goes on, with the one library', () => {
  const { [Symbol.for('multiprocessing.bundle')]: bundle } = process.getBuiltinModule('node:fs');
  expect(bundle.exports.index).toBe(mp);
  expect(process.execArgv).not.toContain('--single-threaded');
});

test('a queue of it works', async () => {
  const queue = mp.getContext('spawn').Queue();
  await queue.put(new Map([[1, [2]]]));
  expect([...(await queue.get())]).toEqual([[1, [2]]]);
});
