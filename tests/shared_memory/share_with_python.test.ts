/**
 * The same bytes in this library and in the Pythons of this machine, in both directions.
 */
import { existsSync } from 'node:fs';
import { type Shareable, ShareableList, SharedMemory } from 'multiprocessing/shared_memory';
import { afterEach, describe, expect, test } from 'vitest';
import { findPythons, prelude } from '../support/python.ts';

const linux = process.platform === 'linux';
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const text = (shm: SharedMemory, length: number) =>
  Buffer.from(shm.buf.slice(0, length)).toString();
const made: SharedMemory[] = [];

afterEach(() => {
  for (const shm of made.splice(0)) {
    shm.close();
    shm.unlink();
  }
});

/** A list that is closed and unlinked after the test. */
function create(items: Iterable<Shareable>): ShareableList {
  const list = new ShareableList(items);
  made.push(list.shm);
  return list;
}

const { pythons, reasons } = linux ? findPythons() : { pythons: [], reasons: ['not Linux'] };
if (pythons.length === 0) console.warn(`no sharing with Python: ${reasons.join('; ')}`);

describe.each(pythons)('SharedMemory and $label', ({ run }) => {
  test('Python reads and writes our segment', () => {
    const shm = new SharedMemory({ create: true, size: 512 });
    made.push(shm);
    shm.buf.set(Buffer.from('from node'));
    const { stdout, stderr } = run(
      `${prelude}
shm = SharedMemory(sys.argv[1])
forget(shm)
print(bytes(shm.buf[:9]), shm.size)
shm.buf[:4] = b'back'
shm.close()`,
      shm.name,
    );
    expect([stdout, stderr]).toEqual(["b'from node' 512\n", '']);
    expect(text(shm, 9)).toBe('back node');
    expect(existsSync(`/dev/shm/${shm.name}`)).toBe(true);
  });

  test('we read, write and unlink a segment of Python', () => {
    const { stdout, stderr } = run(`${prelude}
shm = SharedMemory(create=True, size=100)
forget(shm)
shm.buf[:11] = b'from python'
print(shm.name)
shm.close()`);
    expect(stderr).toBe('');
    const shm = new SharedMemory({ name: stdout.trim() });
    made.push(shm);
    expect([shm.size, text(shm, 11)]).toEqual([100, 'from python']);
  });
});

describe.each(pythons)('ShareableList and $label', ({ run }) => {
  test('Python reads and writes our list', () => {
    const items = ['déjà', bytes('\0raw'), 1.5, -(2n ** 62n), null, true, '', 12];
    const list = create(items);
    const { stdout, stderr } = run(
      `${prelude}
items = ShareableList(name=sys.argv[1])
forget(items.shm)
print(list(items), items.format)
items[0] = 'über'
items[2] = 2**53 + 1
items[4] = False
items[-1] = 0.25
items.shm.close()`,
      list.shm.name,
    );
    expect([stdout, stderr]).toEqual([
      "['déjà', b'\\x00raw', 1.5, -4611686018427387904, None, True, '', 12] 8s8sdqxxxxxx?xxxxxxxx?8sq\n",
      '',
    ]);
    expect([...list]).toEqual([
      'über',
      bytes('\0raw'),
      2n ** 53n + 1n,
      -(2n ** 62n),
      false,
      true,
      '',
      0.25,
    ]);
  });

  test('we read and write a list of Python, byte for byte as our own', () => {
    const { stdout, stderr } = run(`${prelude}
items = ShareableList(['text', b'bytes', 7, 2.5, None, False, 'more than 8 bytes'])
forget(items.shm)
print(items.shm.name)
items.shm.close()`);
    expect(stderr).toBe('');
    const list = new ShareableList(undefined, { name: stdout.trim() });
    made.push(list.shm);
    const items = ['text', bytes('bytes'), 7, 2.5, null, false, 'more than 8 bytes'];
    expect([...list]).toEqual(items);
    const own = create(items);
    expect(Buffer.compare(list.shm.buf.subarray(0, own.shm.size), own.shm.buf)).toBe(0);
    list[6] = 'written by Node';
    const back = run(
      `${prelude}
items = ShareableList(name=sys.argv[1])
forget(items.shm)
print(items[6])`,
      list.shm.name,
    );
    expect([back.stdout, back.stderr]).toEqual(['written by Node\n', '']);
  });
});
