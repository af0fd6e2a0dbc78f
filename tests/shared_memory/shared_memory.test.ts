/**
 * SharedMemory: making, attaching, closing, unlinking and sharing with children and other programs.
 * Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { constants as bufferConstants } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { inspect } from 'node:util';
import * as mp from 'multiprocessing';
import { ForkingPickler } from 'multiprocessing/reduction';
import { SharedMemory } from 'multiprocessing/shared_memory';
import { afterEach, describe, expect, test } from 'vitest';
import * as posix from '../../packages/posix/dist/index.js';
import * as targets from '../fixtures/dist/shm_targets.js';
import { describeError } from '../fixtures/dist/targets.js';
import { collected } from '../support/garbage.ts';
import { AS_NOBODY, noOtherUser } from '../support/limits.ts';
import { runProgram, startProgram } from '../support/programs.ts';
import { Channel, Gate } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const linux = process.platform === 'linux';
const text = (shm: SharedMemory, length: number) =>
  Buffer.from(shm.buf.slice(0, length)).toString();

/** A name that no other run of the tests has. */
let counter = 0;
const newName = (what: string) => `mp_${what}_${process.pid}_${counter++}`;

const made: SharedMemory[] = [];

/** A segment that is closed and unlinked after the test. */
function create(size = 512, name?: string): SharedMemory {
  const shm = new SharedMemory({ create: true, size, name });
  made.push(shm);
  return shm;
}

afterEach(() => {
  for (const shm of made.splice(0)) {
    shm.close();
    try {
      shm.unlink();
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
    }
  }
});

function errorOf(f: () => unknown): { name: string; message: string; code?: unknown } {
  try {
    f();
  } catch (error) {
    return describeError(error);
  }
  throw new Error('it did not throw');
}

test.skipIf(linux)('elsewhere than on Linux it says that it needs Linux', () => {
  expect(() => new SharedMemory({ create: true, size: 1 })).toThrow(mp.NotImplementedError);
});

describe.skipIf(!linux)('SharedMemory', () => {
  test('a name with a null character in it is a ValueError', () => {
    const shm = create(512, newName('null'));
    const bad = { name: `${shm.name}\0a`, size: 512 };
    for (const flag of [false, true]) {
      expect(() => new SharedMemory({ ...bad, create: flag })).toThrow(mp.ValueError);
      expect(() => new SharedMemory({ ...bad, create: flag })).toThrow('embedded null character');
    }
    expect(errorOf(() => posix.shmUnlink(`${shm.name}\0a`)).code).toBe('EINVAL');
    expect(existsSync(`/dev/shm/${shm.name}`)).toBe(true);
  });

  test('a segment is made, attached to by its name, and unlinked once', () => {
    const name = newName('basics');
    const shm = create(512, name);
    expect([shm.name, shm.size, shm.buf.length]).toEqual([name, 512, 512]);
    expect(shm.buf.every((byte) => byte === 0)).toBe(true);
    expect([String(shm), inspect(shm)]).toEqual(Array(2).fill(`SharedMemory('${name}', size=512)`));
    expect(statSync(`/dev/shm/${name}`).mode & 0o777).toBe(0o600);
    shm.buf[0] = 42;
    const other = new SharedMemory({ name });
    const slashed = new SharedMemory({ name: `/${name}`, size: 20 * 512 });
    expect([other.buf[0], slashed.buf[0]]).toEqual([42, 42]);
    expect([slashed.name, slashed.size]).toEqual([name, 512]);
    slashed.close();
    expect(errorOf(() => new SharedMemory({ name, create: true, size: 512 }))).toMatchObject({
      name: 'OSError',
      code: 'EEXIST',
    });
    expect(errorOf(() => new SharedMemory()).message).toMatch(/^'name' can only be left out/);
    const absent = newName('notthere');
    expect(errorOf(() => new SharedMemory({ name: absent }))).toMatchObject({
      name: 'OSError',
      code: 'ENOENT',
      message: `shm_open: ENOENT, /dev/shm/${absent}`,
    });
    other.unlink();
    other.close();
    expect(shm.buf[0]).toBe(42);
    expect(errorOf(() => shm.unlink())).toMatchObject({ name: 'OSError', code: 'ENOENT' });
  });

  test('a random name has eight hexadecimal digits, and one that is taken is replaced', () => {
    expect(create(1).name).toMatch(/^psm_[0-9a-f]{8}$/);
    const names = [newName('first'), newName('second')];
    class Named extends SharedMemory {
      static left: string[] = [];
      static override _makeFilename(): string {
        return Named.left.shift() as string;
      }
    }
    for (const expected of names) {
      Named.left = [...names];
      const shm = new Named({ create: true, size: 1 });
      made.push(shm);
      expect(shm.name).toBe(expected);
    }
  });

  test('a size that is no positive whole number is refused', () => {
    const sizes: [unknown, string, string][] = [
      [-1, 'ValueError', "'size' must be a positive integer"],
      [0, 'ValueError', "'size' must be a positive number different from zero"],
      [undefined, 'ValueError', "'size' must be a positive number different from zero"],
      [1.5, 'ValueError', "'size' must be a whole number of bytes, not 1.5"],
      [Number.NaN, 'ValueError', "'size' must be a positive integer"],
      [2 ** 60, 'ValueError', "'size' is 1152921504606847000, and a Uint8Array can have"],
      ['1', 'TypeError', "'size' must be a number of bytes, not '1'"],
      [1n, 'TypeError', "'size' must be a number of bytes, not 1n"],
    ];
    for (const [size, name, message] of sizes) {
      const error = errorOf(() => new SharedMemory({ create: true, size: size as number }));
      expect(error.name).toBe(name);
      expect(error.message).toContain(message);
    }
    expect(errorOf(() => new SharedMemory({ name: 'x', size: -2 })).name).toBe('ValueError');
  });

  test('a name that no file can have is refused, and so is what is no segment', () => {
    const names: [unknown, string, unknown][] = [
      ['', 'OSError', 'EINVAL'],
      ['/', 'OSError', 'EINVAL'],
      ['.', 'OSError', 'EINVAL'],
      ['..', 'OSError', 'EINVAL'],
      ['a/b', 'OSError', 'EINVAL'],
      ['//a', 'OSError', 'EINVAL'],
      ['../tmp/x', 'OSError', 'EINVAL'],
      ['é'.repeat(128), 'OSError', 'ENAMETOOLONG'],
      ['a:b', 'ValueError', 'ERR_MP_VALUE'],
      ['a\nb', 'ValueError', 'ERR_MP_VALUE'],
      ['\ud800', 'ValueError', 'ERR_MP_VALUE'],
      [1, 'TypeError', 'ERR_MP_TYPE'],
      [null, 'TypeError', 'ERR_MP_TYPE'],
    ];
    for (const [name, error, code] of names) {
      for (const options of [{ name }, { name, create: true, size: 8 }] as { name: string }[]) {
        expect(errorOf(() => new SharedMemory(options))).toMatchObject({ name: error, code });
      }
    }
    for (const options of ['x', null, { nmae: 'x' }, { name: 'x', create: 1 }] as object[]) {
      expect(errorOf(() => new SharedMemory(options))).toMatchObject({ code: 'ERR_MP_TYPE' });
    }
    const name = newName('no_segment');
    const path = `/dev/shm/${name}`;
    const kinds: [string, () => void, string | RegExp][] = [
      ['a link', () => symlinkSync('/etc/hostname', path), 'ELOOP'],
      ['a folder', () => mkdirSync(path), 'EISDIR'],
      ['a FIFO', () => execFileSync('mkfifo', [path]), 'EINVAL'],
      ['an empty file', () => writeFileSync(path, ''), 'ERR_MP_VALUE'],
    ];
    for (const [, make, code] of kinds) {
      try {
        make();
        expect(errorOf(() => new SharedMemory({ name })).code).toBe(code);
        expect(errorOf(() => create(8, name)).code).toBe('EEXIST');
      } finally {
        rmSync(path, { recursive: true });
      }
    }
  });

  test('names of every kind work, and segments whose size is not that of pages', () => {
    for (const own of ['a b', '*', "it's", '日本', '-n', '.hidden', '$(x)', 'x'.repeat(200)]) {
      const shm = create(4097, `${newName('kind')}${own}`);
      shm.buf[4096] = 7;
      using other = new SharedMemory({ name: shm.name });
      expect([other.size, other.buf[4096]]).toEqual([4097, 7]);
    }
  });

  test('more memory than there is, is an OSError at creation and leaves nothing', () => {
    const { bsize, blocks } = statfsSync('/dev/shm');
    const size = bsize * blocks + 2 ** 30;
    const before = readdirSync('/proc/self/fd').length;
    expect(errorOf(() => posix.shmCreate(size))).toMatchObject({
      name: 'OSError',
      code: 'ENOSPC',
      message: `fallocate: ENOSPC, ${size} bytes in /dev/shm`,
    });
    if (size <= bufferConstants.MAX_LENGTH) {
      expect(errorOf(() => create(size, newName('huge'))).code).toBe('ENOSPC');
    }
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  test('a segment has all of its memory when it is made', () => {
    const shm = create(1_000_000);
    expect(statSync(`/dev/shm/${shm.name}`).blocks * 512).toBeGreaterThanOrEqual(1_000_000);
  });

  test('a pickled segment is attached to by its name', () => {
    const shm = create();
    shm.buf.set(Buffer.from('pickle'));
    const copy = ForkingPickler.loadsSync(ForkingPickler.dumps(shm)) as SharedMemory;
    expect(copy).toBeInstanceOf(SharedMemory);
    expect([copy.name, copy.size, text(copy, 6)]).toEqual([shm.name, 512, 'pickle']);
    shm.buf.set(Buffer.from('newval'));
    expect(text(copy, 6)).toBe('newval');
    copy.buf.set(Buffer.from('oldval'));
    expect(text(shm, 6)).toBe('oldval');
    copy.close();
  });

  test('a pickle of a segment that is gone is an OSError', () => {
    const shm = create();
    const pickled = ForkingPickler.dumps(shm);
    shm.close();
    shm.unlink();
    expect(errorOf(() => ForkingPickler.loadsSync(pickled)).code).toBe('ENOENT');
  });

  test('a pickle of a segment whose name another one has now is an OSError', () => {
    const shm = create();
    const pickled = ForkingPickler.dumps(shm);
    shm.unlink();
    create(512, shm.name);
    const before = readdirSync('/proc/self/fd').length;
    expect(errorOf(() => ForkingPickler.loadsSync(pickled))).toMatchObject({
      code: 'ENOENT',
      message: expect.stringContaining('another one has its name'),
    });
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  test.skipIf(noOtherUser)(
    'a segment of another user is attached to only when that is asked for',
    () => {
      const name = newName('theirs');
      const [setpriv = '', ...flags] = AS_NOBODY;
      execFileSync(
        setpriv,
        [...flags, 'dd', 'if=/dev/zero', `of=/dev/shm/${name}`, 'bs=64', 'count=1'],
        {
          stdio: 'ignore',
        },
      );
      try {
        expect(errorOf(() => new SharedMemory({ name }))).toMatchObject({
          name: 'OSError',
          code: 'EPERM',
          message: expect.stringMatching(/is a segment of the user 65534: .* anyOwner: true/),
        });
        using theirs = new SharedMemory({ name, anyOwner: true });
        using sent = ForkingPickler.loadsSync(ForkingPickler.dumps(theirs)) as SharedMemory;
        sent.buf[0] = 5;
        expect(theirs.buf[0]).toBe(5);
      } finally {
        rmSync(`/dev/shm/${name}`);
      }
    },
  );

  test('after close old views read zeros, and the segment keeps its bytes', () => {
    const shm = create(8192);
    const view = shm.buf;
    const words = new Int32Array(view.buffer);
    view.fill(1);
    shm.close();
    shm.close();
    expect(shm.buf).toBeUndefined();
    expect([view.length, view.every((byte) => byte === 0), words[2047]]).toEqual([8192, true, 0]);
    view.fill(2);
    using other = new SharedMemory({ name: shm.name });
    expect(other.buf.every((byte) => byte === 1)).toBe(true);
    expect([shm.size, String(shm)]).toEqual([8192, `SharedMemory('${shm.name}', size=8192)`]);
  });

  test('using closes', () => {
    const shm = create();
    let seen: SharedMemory;
    {
      using other = new SharedMemory({ name: shm.name });
      seen = other;
      expect(other.buf).toBeInstanceOf(Uint8Array);
    }
    expect(seen.buf).toBeUndefined();
  });

  test('what is collected lets go of its mapping, and not of its name', async () => {
    const name = newName('collected');
    const mapped = () => {
      const { ino } = statSync(`/dev/shm/${name}`);
      const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
      return lines.filter((line) => line.includes(` ${ino} `)).length;
    };
    const forget = () => new WeakRef(new SharedMemory({ name, create: true, size: 5000 }).buf);
    const ref = forget();
    expect(mapped()).toBe(1);
    expect(await collected(ref)).toBe(true);
    await expect.poll(mapped, { timeout: 10_000 }).toBe(0);
    const shm = new SharedMemory({ name });
    made.push(shm);
    expect(mapped()).toBe(1);
  });

  test('a view keeps the memory of an object that is collected', async () => {
    const shm = create();
    const forget = () => {
      const other = new SharedMemory({ name: shm.name });
      return { view: other.buf.subarray(3, 5), ref: new WeakRef(other) };
    };
    const { view, ref } = forget();
    expect(await collected(ref)).toBe(true);
    shm.buf[4] = 9;
    expect([...view]).toEqual([0, 9]);
  });

  test('its memory cannot be moved to another owner', () => {
    const shm = create();
    const { buffer } = shm.buf;
    try {
      const copy = structuredClone(buffer, { transfer: [buffer] }); // Node 20 copies
      new Uint8Array(copy).fill(1);
    } catch (error) {
      expect((error as Error).name).toBe('DataCloneError');
    }
    expect([buffer.byteLength, shm.buf[0]]).toEqual([512, 0]);
    expect(() => (buffer as { transfer?(): void }).transfer?.()).toThrow();
  });

  test('unlink takes away only the segment itself', () => {
    const name = newName('successor');
    const first = create(8, name);
    first.unlink();
    const second = create(16, name);
    expect(errorOf(() => first.unlink()).message).toContain('unlinked already');
    using other = new SharedMemory({ name });
    expect(other.size).toBe(second.size);
  });

  test('an object costs no fd', () => {
    create().close();
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 20; i++) create(8);
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });
});

describe.skipIf(!linux)('SharedMemory and other programs', () => {
  test('a segment whose program is killed goes, with a warning', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const { child, outcome } = startProgram('segments', ['spawn', channel.path, gate.path]);
    const reports = (await channel.take(2)) as [number, ...string[]][];
    for (const [pid] of reports) process.kill(pid, 'SIGKILL');
    const { signal, stderr } = await outcome;
    expect([child.signalCode, signal]).toEqual(['SIGKILL', 'SIGKILL']);
    expect(stderr).toMatch(
      /^resource_tracker: There appear to be 3 leaked shared_memory objects to clean up at shutdown: /,
    );
    const names = reports.flatMap(([, ...own]) => own);
    expect(names).toHaveLength(3);
    for (const name of names) {
      expect(stderr).toContain(name);
      expect(existsSync(`/dev/shm/${name}`)).toBe(false);
    }
  });

  test('a program that only attaches leaves the segment', async () => {
    const shm = create();
    const { code, stderr } = await runProgram('trackers', ['attach', shm.name]);
    expect([code, stderr]).toEqual([0, '']);
    using other = new SharedMemory({ name: shm.name });
    expect(other.size).toBe(512);
  });

  test('a segment that is tracked goes with the program that made it, another stays', async () => {
    const tracked = await runProgram('trackers', ['leave', 'true']);
    expect(tracked.stderr).toMatch(/There appear to be 1 leaked shared_memory objects/);
    expect(existsSync(`/dev/shm/${JSON.parse(tracked.stdout)}`)).toBe(false);
    const untracked = await runProgram('trackers', ['leave', 'false']);
    expect(untracked.stderr).toBe('');
    const shm = new SharedMemory({ name: JSON.parse(untracked.stdout) as string });
    shm.close();
    shm.unlink();
  });
});

if (linux) {
  forEachStartMethod((ctx) => {
    test('children write into a segment that they get by its name or as an object', async () => {
      const shm = create();
      for (const [segment, word] of [
        [shm.name, 'howdy'],
        [shm, 'HELLO'],
      ] as const) {
        const p = new ctx.Process({
          target: targets.writeInto,
          args: [segment, word],
          daemon: true,
        });
        await p.start();
        await p.join();
        expect([p.exitcode, text(shm, 5)]).toEqual([0, word]);
      }
    });

    test('a child cannot attach to what its parent has unlinked', async () => {
      const channel = new Channel();
      const shm = create();
      shm.unlink();
      const p = new ctx.Process({ target: targets.reportAttach, args: [channel.path, shm.name] });
      await p.start();
      await p.join();
      expect(await channel.next()).toMatchObject({ name: 'OSError', code: 'ENOENT' });
    });
  });
}
