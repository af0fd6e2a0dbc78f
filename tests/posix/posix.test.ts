/**
 * The kernel layer: each call, and what it throws.
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  constants as fsConstants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { native, readInt } from '../../packages/posix/dist/ffi/ffi.js';
import * as posix from '../../packages/posix/dist/index.js';
import { runNode } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';

const linux = process.platform === 'linux';
const { signals } = constants;
const closed = 999_999; // no process here has that many

/** fds that a test opens; closed after it. */
const fds: number[] = [];
const keep = (pair: [number, number]): [number, number] => {
  fds.push(...pair);
  return pair;
};
const drop = (fd: number) => {
  fds.splice(fds.indexOf(fd), 1);
  posix.close(fd);
};

afterEach(() => {
  for (const fd of fds.splice(0)) posix.close(fd);
});

/** An OSError with these fields. */
const osError = (code: string, syscall: string, name = 'OSError') =>
  expect.objectContaining({
    name,
    code,
    syscall,
    errno: constants.errno[code as keyof typeof constants.errno],
    message: expect.stringMatching(new RegExp(`^${syscall}.*${code}`)),
  });

function thrown(f: () => unknown): unknown {
  try {
    f();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Opens a pipe's end once more, as one that does not block. */
function notBlocking(fd: number, how: 'r' | 'w'): number {
  const flag = how === 'r' ? fsConstants.O_RDONLY : fsConstants.O_WRONLY;
  const other = openSync(`/proc/self/fd/${fd}`, flag | fsConstants.O_NONBLOCK);
  fds.push(other);
  return other;
}

/** Runs a program in a new process and returns what it writes to fd 1. */
function outputOf(argv: string[], passFds: number[] = [], env?: Record<string, string>): string {
  const [reader, writer] = posix.pipe();
  const script = `exec ${argv.map((arg) => `'${arg}'`).join(' ')} >&3`;
  const options = env === undefined ? {} : { env };
  const pid = posix.posixSpawn('/bin/sh', ['sh', '-c', script], {
    passFds: [writer, ...passFds],
    ...options,
  });
  posix.close(writer);
  let text = '';
  for (let part = posix.read(reader, 4096); part.length > 0; part = posix.read(reader, 4096)) {
    text += Buffer.from(part).toString();
  }
  posix.close(reader);
  expect(posix.waitpid(pid, 0)).toEqual([pid, 0]);
  return text;
}

describe('errors', () => {
  test('of a call carry errno, code and syscall', () => {
    expect(thrown(() => posix.close(closed))).toEqual(osError('EBADF', 'close'));
    expect(thrown(() => posix.close(closed))).toBeInstanceOf(posix.OSError);
    expect(thrown(() => posix.read(closed, 1))).toEqual(osError('EBADF', 'read'));
    expect(thrown(() => posix.readInto(closed, Buffer.alloc(1)))).toEqual(osError('EBADF', 'read'));
    expect(thrown(() => posix.write(closed, 'x'))).toEqual(osError('EBADF', 'write'));
    expect(thrown(() => posix.dup(closed))).toEqual(osError('EBADF', 'fcntl'));
    expect(thrown(() => posix.setCloexec(closed, true))).toEqual(osError('EBADF', 'fcntl'));
    expect(thrown(() => posix.poll([closed], 0))).toEqual(osError('EBADF', 'poll'));
    expect(thrown(() => posix.onReady(closed, () => {}))).toEqual(osError('EBADF', 'fcntl'));
    expect(thrown(() => posix.sendmsg(closed, Buffer.from('x')))).toEqual(
      osError('EBADF', 'sendmsg'),
    );
    expect(thrown(() => posix.recvmsg(closed, 1))).toEqual(osError('EBADF', 'recvmsg'));
  });

  test('have the subclasses that Python has', () => {
    const [reader, writer] = keep(posix.pipe());
    drop(reader);
    const broken = thrown(() => posix.write(writer, 'x'));
    expect(broken).toEqual(osError('EPIPE', 'write', 'BrokenPipeError'));
    expect(broken).toBeInstanceOf(posix.BrokenPipeError);
    expect(broken).toBeInstanceOf(posix.OSError);
    const childless = thrown(() => posix.waitpid(process.pid, 0));
    expect(childless).toEqual(osError('ECHILD', 'waitpid', 'ChildProcessError'));
    expect(childless).toBeInstanceOf(posix.ChildProcessError);
    const lost = thrown(() => posix.kill(0x3fffffff, 0));
    expect(lost).toEqual(osError('ESRCH', 'kill', 'ProcessLookupError'));
    expect(lost).toBeInstanceOf(posix.ProcessLookupError);
  });
});

describe('fds', () => {
  test('a pipe hands bytes over, whole and in order, to its end', () => {
    const [reader, writer] = keep(posix.pipe());
    expect(posix.write(writer, 'héllo')).toBe(6);
    posix.writeAll(writer, Buffer.from(' world'));
    expect(Buffer.from(posix.read(reader, 4)).toString()).toBe('hél');
    const rest = Buffer.alloc(100);
    expect(posix.readInto(reader, rest)).toBe(8);
    expect(rest.toString('utf8', 0, 8)).toBe('lo world');
    drop(writer);
    expect(posix.read(reader, 10).length).toBe(0);
    expect(posix.readInto(reader, rest)).toBe(0);
  });

  test('do not survive exec, unless they are told to', () => {
    const [reader, writer] = keep(posix.pipe());
    const copy = posix.dup(reader);
    fds.push(copy);
    const flags = (fd: number) =>
      Number.parseInt(
        /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
        8,
      );
    for (const fd of [reader, writer, copy]) expect(flags(fd) & 0o2000000).not.toBe(0);
    posix.setCloexec(copy, false);
    expect(flags(copy) & 0o2000000).toBe(0);
    expect(flags(reader) & 0o2000000).not.toBe(0);
    posix.setCloexec(copy, true);
    expect(flags(copy) & 0o2000000).not.toBe(0);
    expect(fstatSync(copy).ino).toBe(fstatSync(reader).ino);
  });

  test('that do not block say EAGAIN', () => {
    const [reader] = keep(posix.pipe());
    const other = notBlocking(reader, 'r');
    expect(thrown(() => posix.read(other, 1))).toEqual(osError('EAGAIN', 'read'));
  });

  test.skipIf(!linux)('of memory are files without a name', () => {
    const fd = posix.memfdCreate('posix test');
    fds.push(fd);
    posix.writeAll(fd, Buffer.alloc(100_000, 'x'));
    expect(fstatSync(fd).size).toBe(100_000);
  });
});

describe('poll', () => {
  test('returns the fds that are ready, in their order', () => {
    const [a, b, c] = [keep(posix.pipe()), keep(posix.pipe()), keep(posix.pipe())];
    const readers = [a[0], b[0], c[0]];
    expect(posix.poll(readers, 0)).toEqual([]);
    expect(posix.poll(readers, -1)).toEqual([]);
    expect(posix.poll([], 0)).toEqual([]);
    posix.write(c[1], 'x');
    drop(a[1]);
    expect(posix.poll(readers)).toEqual([a[0], c[0]]);
    expect(posix.poll([c[0]], 1)).toEqual([c[0]]);
    expect(posix.poll([b[1]], 0, posix.POLLOUT)).toEqual([b[1]]);
    expect(posix.poll([b[0]], 0.01)).toEqual([]);
  });

  test('a full pipe is not writable', () => {
    const [reader, writer] = keep(posix.pipe());
    const block = Buffer.alloc(65536);
    const other = notBlocking(writer, 'w');
    expect(thrown(() => posix.writeAll(other, Buffer.alloc(10_000_000)))).toEqual(
      osError('EAGAIN', 'write'),
    );
    expect(posix.poll([writer], 0, posix.POLLOUT)).toEqual([]);
    while (posix.poll([reader], 0).length > 0) posix.readInto(reader, block);
    expect(posix.poll([writer], 0, posix.POLLOUT)).toEqual([writer]);
  });
});

describe('onReady', () => {
  test('calls back once, when there is something to read', async () => {
    const [reader, writer] = keep(posix.pipe());
    let calls = 0;
    const ready = new Promise<void>((resolve) => {
      posix.onReady(reader, () => {
        calls++;
        resolve();
      });
    });
    posix.write(writer, 'x');
    await ready;
    posix.write(writer, 'y');
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(1);
  });

  test('calls back at the end of file, and for several watches of one fd', async () => {
    const [reader, writer] = keep(posix.pipe());
    const watches = [1, 2, 3].map(
      () => new Promise<void>((resolve) => posix.onReady(reader, resolve)),
    );
    drop(writer);
    await Promise.all(watches);
  });

  test('watches for room, too', async () => {
    const [, writer] = keep(posix.pipe());
    await new Promise<void>((resolve) => posix.onReady(writer, resolve, 'writable'));
  });

  test('does not call back once it is stopped, nor mind that the fd is closed', async () => {
    const [reader, writer] = keep(posix.pipe());
    let calls = 0;
    const stop = posix.onReady(reader, () => calls++);
    const other = new Promise<void>((resolve) => posix.onReady(reader, resolve));
    stop();
    stop();
    drop(reader);
    posix.write(writer, 'x');
    await other;
    expect(calls).toBe(0);
  });

  test('refuses a file, which always is ready', () => {
    const file = openSync(import.meta.filename, 'r');
    fds.push(file);
    expect(thrown(() => posix.onReady(file, () => {}))).toEqual(osError('EPERM', 'uv_poll'));
  });
});

describe('processes', () => {
  test('are who they are', () => {
    expect(posix.getpid()).toBe(process.pid);
    expect(posix.getppid()).toBe(process.ppid);
    expect(posix.pidExists(process.pid)).toBe(true);
    expect(posix.pidExists(0x3fffffff)).toBe(false);
  });

  test('a wait status is an exit code or a signal', () => {
    expect([0, 0x0100, 0xff00, 9, 15, 0x8b].map(posix.waitstatusToExitcode)).toEqual([
      0, 1, 255, -9, -15, -11,
    ]);
  });

  test('are started with what they are given and nothing else', () => {
    const before = readdirSync('/proc/self/fd').length;
    const [reader, writer] = keep(posix.pipe());
    posix.write(writer, 'passed');
    // Open without FD_CLOEXEC: it must not get there, either.
    posix.setCloexec(writer, false);
    // 3 is the output; the passed one is 4, and ls has one for its directory.
    expect(outputOf(['ls', '/proc/self/fd'], [reader]).split('\n').filter(Boolean)).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
    ]);
    expect(outputOf(['head', '-c', '6', '/proc/self/fd/4'], [reader])).toBe('passed');
    expect(outputOf(['env'], [], { ONLY: 'this' })).toMatch(/^(PWD=.*\n)?ONLY=this\n/m);
    expect(readdirSync('/proc/self/fd')).toHaveLength(before + 2);
  });

  test('find passed fds in their order, however their numbers cross', () => {
    const pipes = [keep(posix.pipe()), keep(posix.pipe()), keep(posix.pipe())];
    for (const [i, [, writer]] of pipes.entries()) posix.write(writer, `pipe ${i}`);
    const readers = pipes.map(([reader]) => reader).sort((a, b) => b - a);
    for (const [i, reader] of readers.entries()) {
      const number = pipes.findIndex((pair) => pair[0] === reader);
      const text = outputOf(['head', '-c', '6', `/proc/self/fd/${4 + i}`], readers);
      expect(text).toBe(`pipe ${number}`);
    }
    // One fd twice.
    const [reader, writer] = keep(posix.pipe());
    posix.write(writer, 'twice!');
    expect(outputOf(['head', '-c', '6', '/proc/self/fd/5'], [reader, reader])).toBe('twice!');
  });

  test('start with default signals', () => {
    posix.ignoreSignal(signals.SIGUSR1, true);
    try {
      const status = outputOf(['grep', 'Sig[IB]', '/proc/self/status']);
      expect(status).toMatch(/SigBlk:\s*0+\n/);
      // Signals above 31 are the libc's own.
      expect(BigInt(`0x${/SigIgn:\s*(\w+)/.exec(status)?.[1]}`) & 0x7fffffffn).toBe(0n);
    } finally {
      posix.ignoreSignal(signals.SIGUSR1, false);
    }
  });

  test('that cannot be started are none', () => {
    const notExecutable = scratchFile();
    writeFileSync(notExecutable, '', { mode: 0o600 });
    for (const [path, code] of [
      ['/no/such/program', 'ENOENT'],
      [notExecutable, 'EACCES'],
      ['/', 'EACCES'],
    ] as const) {
      const error = thrown(() => posix.posixSpawn(path, [path], { passFds: [0, 1] }));
      expect(error).toEqual(osError(code, 'posix_spawn'));
      expect((error as Error).message).toContain(path);
    }
    expect(thrown(() => posix.posixSpawn('/bin/true', ['true'], { passFds: [closed] }))).toEqual(
      osError('EBADF', 'fcntl'),
    );
  });

  test('posixSpawn starts a program in another directory, or says that it is gone', () => {
    const file = scratchFile('out');
    const directory = dirname(file);
    const script = ['sh', '-c', `pwd >${file}`];
    posix.waitpid(posix.posixSpawn('/bin/sh', script, { directory }), 0);
    expect(readFileSync(file, 'utf8')).toBe(`${realpathSync(directory)}\n`);
    const gone = `${directory}/gone`;
    expect(thrown(() => posix.posixSpawn('/bin/sh', script, { directory: gone }))).toEqual(
      osError('ENOENT', 'chdir'),
    );
  });

  test('are waited for, signalled and reaped', () => {
    const pid = posix.posixSpawn('/bin/sleep', ['sleep', '1000000']);
    expect(posix.waitpid(pid, posix.WNOHANG)).toEqual([0, 0]);
    expect(posix.pidExists(pid)).toBe(true);
    posix.kill(pid, 0);
    posix.kill(pid, 'SIGTERM');
    const [reaped, status] = posix.waitpid(pid, 0);
    expect([reaped, posix.waitstatusToExitcode(status)]).toEqual([pid, -15]);
    expect(posix.pidExists(pid)).toBe(false);
    const other = posix.posixSpawn('/bin/sh', ['sh', '-c', 'exit 7']);
    expect(posix.waitstatusToExitcode(posix.waitpid(other, 0)[1])).toBe(7);
    expect(thrown(() => posix.kill(process.pid, 1000))).toEqual(osError('EINVAL', 'kill'));
  });

  test.skipIf(!linux)('have an fd that is ready when they end', async () => {
    const pid = posix.posixSpawn('/bin/sleep', ['sleep', '1000000']);
    const fd = posix.pidfdOpen(pid);
    fds.push(fd);
    expect(posix.poll([fd], 0)).toEqual([]);
    posix.kill(pid, signals.SIGKILL);
    await new Promise<void>((resolve) => posix.onReady(fd, resolve));
    expect(posix.poll([fd])).toEqual([fd]);
    expect(posix.waitstatusToExitcode(posix.waitpid(pid, 0)[1])).toBe(-9);
    const none = osError('ESRCH', 'pidfd_open', 'ProcessLookupError');
    expect(thrown(() => posix.pidfdOpen(pid))).toEqual(none);
    const thread = readdirSync('/proc/self/task')
      .map(Number)
      .find((tid) => tid !== process.pid);
    expect(thrown(() => posix.pidfdOpen(thread as number))).toEqual(none);
  });

  test('are replaced in place', async () => {
    const code = `
      import { execve } from '${new URL('../../packages/posix/dist/index.js', import.meta.url).href}';
      try { execve('/no/such/program', ['x']); } catch (error) { console.log(error.code, error.syscall); }
      execve('/bin/sh', ['sh', '-c', 'echo $$ $NAME; cat'], { NAME: 'value' });`;
    const node = ['--input-type=module', '-e', code];
    const child = spawn(process.execPath, node, { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end('stdin goes on');
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await once(child, 'close');
    expect(text).toBe(`ENOENT execve\n${child.pid} value\nstdin goes on`);
  });

  test('end at once by _exit, with the low byte', async () => {
    const url = new URL('../../packages/posix/dist/index.js', import.meta.url).href;
    for (const [code, exitcode] of [
      [7, 7],
      [256, 0],
      [-1, 255],
    ]) {
      const outcome = await runNode([
        '--input-type=module',
        '-e',
        `import { _exit } from '${url}'; process.on('exit', () => console.log('no')); _exit(${code});`,
      ]);
      expect(outcome).toMatchObject({ code: exitcode, stdout: '', stderr: '' });
    }
  });

  test.skipIf(!linux)('are signalled when the thread that started them ends', async () => {
    const url = new URL('../../packages/posix/dist/index.js', import.meta.url).href;
    const [reader, writer] = keep(posix.pipe());
    const inner = `
      import { setParentDeathSignal, write } from '${url}';
      setParentDeathSignal(9); write(3, 'ready'); setInterval(() => {}, 1e9);`;
    const outer = `
      import { posixSpawn } from '${url}';
      posixSpawn(process.execPath, ['node', '--input-type=module', '-e', process.env.INNER], { passFds: [3] });
      setInterval(() => {}, 1e9);`;
    const pid = posix.posixSpawn(process.execPath, ['node', '--input-type=module', '-e', outer], {
      passFds: [writer],
      env: { ...process.env, INNER: inner },
    });
    drop(writer);
    expect(Buffer.from(posix.read(reader, 100)).toString()).toBe('ready');
    posix.kill(pid, signals.SIGKILL);
    posix.waitpid(pid, 0);
    expect(posix.read(reader, 100).length).toBe(0); // the last writer is gone
  });

  test.skipIf(!linux)('get a signal when a pipe changes, also in a busy loop', async () => {
    const url = new URL('../../packages/posix/dist/index.js', import.meta.url).href;
    const [reader, writer] = keep(posix.pipe());
    const [readyReader, readyWriter] = keep(posix.pipe());
    const code = `
      import { signalOnChange, write } from '${url}';
      signalOnChange(3, 9); write(4, 'x'); for (;;);`;
    const pid = posix.posixSpawn(process.execPath, ['node', '--input-type=module', '-e', code], {
      passFds: [reader, readyWriter],
    });
    drop(reader);
    posix.read(readyReader, 1);
    drop(writer);
    expect(posix.waitstatusToExitcode(posix.waitpid(pid, 0)[1])).toBe(-9);
  });
});

describe.skipIf(!linux)('message sockets', () => {
  test('keep messages apart', () => {
    const [a, b] = keep(posix.socketpair());
    posix.sendmsg(a, Buffer.from('one'));
    posix.sendmsg(a, Buffer.from('two'));
    expect(Buffer.from(posix.recvmsg(b, 100).data).toString()).toBe('one');
    expect(posix.recvmsg(b, 100)).toEqual({ data: Buffer.from('two'), fds: [] });
    drop(a);
    expect(posix.recvmsg(b, 100).data.length).toBe(0);
    const error = thrown(() => posix.sendmsg(b, Buffer.from('x')));
    expect(error).toEqual(osError('EPIPE', 'sendmsg', 'BrokenPipeError'));
  });

  test('carry fds, as many as the kernel allows', () => {
    const [a, b] = keep(posix.socketpair());
    const [reader, writer] = keep(posix.pipe());
    posix.sendmsg(a, Buffer.from('x'), [reader]);
    const { fds: received } = posix.recvmsg(b, 10);
    expect(received).toHaveLength(1);
    const [copy] = received as [number];
    fds.push(copy);
    expect(copy).not.toBe(reader);
    posix.write(writer, 'through the copy');
    drop(reader);
    expect(Buffer.from(posix.read(copy, 100)).toString()).toBe('through the copy');

    posix.sendmsg(a, Buffer.from('x'), Array(posix.MAX_FDS_PER_MESSAGE).fill(writer));
    const many = posix.recvmsg(b, 10).fds;
    fds.push(...many);
    expect(new Set(many).size).toBe(posix.MAX_FDS_PER_MESSAGE);
    for (const fd of many) expect(fstatSync(fd).ino).toBe(fstatSync(writer).ino);
    const tooMany = Array(posix.MAX_FDS_PER_MESSAGE + 1).fill(writer);
    expect(thrown(() => posix.sendmsg(a, Buffer.from('x'), tooMany))).toEqual(
      osError('EINVAL', 'sendmsg'),
    );
    expect(thrown(() => posix.sendmsg(a, Buffer.from('x'), [closed]))).toEqual(
      osError('EBADF', 'sendmsg'),
    );
  });

  test('a message that does not fit leaves no fd', () => {
    const [a, b] = keep(posix.socketpair());
    const before = readdirSync('/proc/self/fd').length;
    posix.sendmsg(a, Buffer.from('too long'), [a]);
    expect(thrown(() => posix.recvmsg(b, 3))).toEqual(osError('EMSGSIZE', 'recvmsg'));
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });
});

describe.skipIf(!posix.forkAvailable().available)('fork', () => {
  test('gives a copy that ends by its own exit code', () => {
    const [reader, writer] = keep(posix.pipe());
    const state = { value: 1 };
    const pid = posix.fork();
    if (pid === 0) {
      state.value++;
      posix.write(
        writer,
        JSON.stringify([state.value, posix.getpid(), process.pid, posix.getppid()]),
      );
      posix._exit(42);
    }
    expect(posix.waitstatusToExitcode(posix.waitpid(pid, 0)[1])).toBe(42);
    const report = JSON.parse(Buffer.from(posix.read(reader, 1000)).toString());
    expect(report).toEqual([2, pid, pid, process.pid]);
    expect(state.value).toBe(1);
  });

  test('gives whole copies, again and again', () => {
    const { forks } = posix.forkStatistics;
    // Work that touches much of the heap: a copy with holes would crash.
    const work = () =>
      JSON.stringify(Array.from({ length: 2000 }, (_, n) => ({ n, s: `${n}` }))).length;
    const expected = work();
    for (let i = 0; i < 100; i++) {
      const pid = posix.fork();
      if (pid === 0) posix._exit(work() === expected ? i : 255);
      expect(posix.waitpid(pid, 0)).toEqual([pid, i << 8]);
    }
    expect(posix.forkStatistics.forks).toBe(forks + 100);
  });

  test('finds out that a copy lacks memory, and makes another', () => {
    const mmap = native(
      'uintptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, long offset)',
    );
    const madvise = native('int madvise(uintptr_t address, size_t length, int advice)');
    const size = 1 << 20;
    const memory = mmap(0, size, 3 /* read, write */, 0x22 /* private, anonymous */, -1, 0);
    const readable = () => {
      const pid = posix.fork();
      if (pid === 0) posix._exit(readInt(BigInt(memory)));
      return posix.waitpid(pid, 0)[1];
    };
    const { retries } = posix.forkStatistics;
    // A fork that is checked in full takes the mark back before. The next ones are checked by size, if V8 maps nothing meanwhile.
    for (let i = 0; i < 100 && posix.forkStatistics.retries === retries; i++) {
      for (let j = 0; j < 5; j++) expect(readable()).toBe(0);
      madvise(memory, size, 10 /* MADV_DONTFORK, as V8 does it */);
      expect(readable()).toBe(0);
    }
    expect(posix.forkStatistics.retries).toBeGreaterThan(retries);
  });

  // From Node 22 on each copy takes a tenth of a second of a processor.
  test('gives copies that can collect garbage, also right after a collection', {
    timeout: 300_000,
  }, () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as (options: { type: 'minor' | 'major' }) => void;
    const old: unknown[] = new Array(2000).fill(0);
    gc({ type: 'major' });
    const collect = (type: 'minor' | 'major') => {
      for (let i = 0; i < 50; i++) old[i * 7] = { i };
      gc({ type });
    };
    for (let i = 0; i < 100; i++) {
      collect(i % 10 === 0 ? 'major' : 'minor');
      const pid = posix.fork();
      if (pid === 0) {
        for (const type of ['minor', 'major', 'minor', 'major', 'major'] as const) collect(type);
        posix._exit(7);
      }
      const end = posix.pidfdOpen(pid);
      const ended = posix.poll([end], 30).length === 1;
      posix.close(end);
      if (!ended) posix.kill(pid, 'SIGKILL');
      expect(posix.waitpid(pid, 0), `copy ${i}`).toEqual([pid, 7 << 8]);
    }
  });

  test('works in a copy, too', () => {
    const pid = posix.fork();
    if (pid === 0) {
      const inner = posix.fork();
      if (inner === 0) posix._exit(3);
      posix._exit(posix.waitstatusToExitcode(posix.waitpid(inner, 0)[1]) + 1);
    }
    expect(posix.waitstatusToExitcode(posix.waitpid(pid, 0)[1])).toBe(4);
  });

  test('leaves neither fds nor processes when it is told that it cannot', async () => {
    const url = new URL('../../packages/posix/dist/index.js', import.meta.url).href;
    const { stdout } = await runNode([
      '--input-type=module',
      '-e',
      `import { fork, forkAvailable } from '${url}';
       console.log(forkAvailable().available, forkAvailable().reason);
       try { fork(); } catch (error) { console.log(error.name, error.code, error.message); }`,
    ]);
    const [first, second] = stdout.split('\n');
    expect(first).toMatch(/^false .*node --single-threaded.*multiprocessing\/forkable/);
    expect(second).toMatch(/^ForkUnavailableError ERR_MP_FORK_UNAVAILABLE .*--single-threaded/);
  });

  test('is refused in a worker thread', async () => {
    const url = new URL('../../packages/posix/dist/index.js', import.meta.url).href;
    const worker = new Worker(
      `import('${url}').then(({ forkAvailable }) =>
         require('node:worker_threads').parentPort.postMessage(forkAvailable()));`,
      { eval: true },
    );
    const [answer] = await once(worker, 'message');
    await worker.terminate();
    expect(answer).toEqual({ available: false, reason: expect.stringContaining('worker thread') });
  });
});

describe('copyBytes', () => {
  const size = 2 ** 20 + 300;
  const source = randomBytes(size);

  test.each([0, 1, 16, 63])(
    'copies what it is told to, and not a byte more (%i from a line)',
    (at) => {
      const memory = Buffer.alloc(size + 2 * 64, 0xee);
      for (const length of [2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 2 ** 20 + 127, size - 3]) {
        memory.fill(0xee);
        const from = source.subarray(3, 3 + length);
        posix.copyBytes(memory.subarray(at, at + length), from);
        expect(memory.compare(from, 0, length, at, at + length)).toBe(0);
        expect(memory.subarray(0, at).every((byte) => byte === 0xee)).toBe(true);
        expect(memory.subarray(at + length).every((byte) => byte === 0xee)).toBe(true);
      }
    },
  );
});

test('writeStderr writes at once, and a closed stderr is nobody’s error', async () => {
  const url = new URL('../../packages/posix/dist/index.js', import.meta.url).href;
  const code = `
    import { writeStderr } from '${url}'; import { closeSync } from 'node:fs';
    writeStderr('text\\n'); closeSync(2); writeStderr('lost'); console.log('done');`;
  expect(await runNode(['--input-type=module', '-e', code])).toMatchObject({
    code: 0,
    stdout: 'done\n',
    stderr: 'text\n',
  });
});

test('every way to make an fd leaves room for the next', () => {
  const file = scratchFile();
  execFileSync('touch', [file]);
  const fd = openSync(file, 'r');
  closeSync(fd);
  const [reader, writer] = keep(posix.pipe());
  expect(Math.min(reader, writer)).toBe(fd);
});
