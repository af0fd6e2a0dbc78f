/**
 * CPython at the other end: its programs with a manager of this library, and this library with a manager of theirs.
 */
import { once } from 'node:events';
import * as mp from 'multiprocessing';
import {
  AttributeError,
  KeyError,
  type ListProxy,
  RemoteError,
  Slice,
  SyncManager,
} from 'multiprocessing/managers';
import { Empty } from 'multiprocessing/queues';
import { getTempDir } from 'multiprocessing/util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addTo, Counter, CounterProxy } from '../fixtures/dist/manager_targets.js';
import type { Running } from '../support/programs.ts';
import { findPythons } from '../support/python.ts';

const { pythons, reasons } = findPythons({ old: true });
for (const reason of reasons) console.warn(`a Python is not there: ${reason}`);
if (pythons.length === 0) console.warn('no tests with Python at the other end');

getTempDir(); // it stays until the end of the process

const authkey = Buffer.from('abracadabra');
/** Those up to 3.11 have md5 alone. */
const digests = ['sha256', 'md5'];
let scratch = 0;

/** Before a program: proxies in proxies use the key of the process there. */
const prelude = `
import sys
import multiprocessing as mp
import queue
import threading
from multiprocessing.managers import SyncManager, BaseManager, RemoteError
mp.current_process().authkey = b'abracadabra'
`;

/** Has those opened that are kept as long as the manager is, and are no leftovers of a test. */
async function keepConnections(manager: SyncManager): Promise<void> {
  const queue = await manager.Queue();
  await Promise.all([queue.get(), queue.get(), queue.put(1), queue.put(1), queue.qsize()]);
  queue[Symbol.dispose]();
}

describe.each(pythons)('$label as a client', (python) => {
  class Manager extends SyncManager {}
  Manager.register('Counter', Counter, {
    proxytype: CounterProxy,
    methodToTypeid: { twin: 'Counter' },
  });
  let manager: SyncManager;

  beforeAll(async () => {
    manager = await new Manager({ serializer: 'pickle', authkey, digests }).start();
    await keepConnections(manager);
  });
  afterAll(async () => {
    await manager.shutdown();
  });

  /** Runs a program there; its last line says that it has come to its end. */
  async function run(code: string): Promise<void> {
    const running = python.start(
      `${prelude}
class M(SyncManager): pass
M.register('Counter')
m = M(address=sys.argv[1], authkey=b'abracadabra')
m.connect()
def fails(kind, f, *args):
    try:
        f(*args)
    except kind as e:
        return e
    raise AssertionError(kind)
${code}
print('done')`,
      manager.address as string,
    );
    const { stdout, stderr } = await running.outcome;
    expect({ stdout, stderr }).toEqual({ stdout: 'done\n', stderr: '' });
  }

  test('who is killed while it waits gets nothing', async () => {
    await run(`
import os, time
q = m.Queue()
pid = os.fork()
if pid == 0:
    q.get()
    os._exit(0)
before = None
while True: # the kernel tells nobody that somebody has gone to sleep
    with open(f'/proc/{pid}/status') as status:
        lines = [line for line in status if line.startswith(('State:', 'voluntary'))]
    if lines == before and lines[0].split()[1] == 'S':
        break
    before = lines
    time.sleep(0.05)
os.kill(pid, 9)
os.waitpid(pid, 0)
q.qsize(); q.qsize() # its end has been seen before the second answer
q.put('x')
assert q.qsize() == 1 and q.get() == 'x'`);
  });

  test('lists and dicts, in each other', async () => {
    await run(`
d = m.dict({'x': 1}, y=2)
l = m.list(range(5))
d['l'] = l
assert type(d['l']) is type(l), d['l']
assert d['l'][0] == 0 and l[1:3] == [1, 2] and len(l) == 5 and 3 in l
l.append(9); l.sort(reverse=True); l += [7]; l *= 1
assert str(l) == '[9, 4, 3, 2, 1, 0, 7]', str(l)
assert d.keys() == ['x', 'y', 'l'] and list(d) == ['x', 'y', 'l']
assert d.items()[:2] == [('x', 1), ('y', 2)] and d.pop('y') == 2
assert d.get('nope') is None and 'x' in d and d.copy()['x'] == 1
d[(1, 'a')] = None
assert d[(1, 'a')] is None and d.popitem() == ((1, 'a'), None)
assert fails(KeyError, lambda: d['nope']).args == ('nope',)
fails(IndexError, lambda: l[100])
fails(ValueError, l.remove, 100)
fails(RemoteError, d._callmethod, 'nope')
ns = m.Namespace(x=1); ns.y = 'z'
assert str(ns) == "Namespace(x=1, y='z')" and ns.x == 1
fails(AttributeError, lambda: ns.nope)
v = m.Value('i', 3); v.value += 1
assert v.value == 4
a = m.Array('i', [1, 2, 3]); a[0] = 9
assert list(a) == [9, 2, 3] and len(a) == 3
`);
  });

  test('what threads wait for', async () => {
    await run(`
q = m.Queue(1)
got = []
t = threading.Thread(target=lambda: got.append(q.get())); t.start()
q.put({'a': (1, 2.5)}); t.join()
assert got == [{'a': (1, 2.5)}], got
fails(queue.Empty, q.get_nowait)
q.put(1)
fails(queue.Full, q.put, 2, True, 0.01)
lock = m.Lock()
with lock:
    assert lock.acquire(False) is False
rlock = m.RLock()
with rlock:
    with rlock: pass
fails(RuntimeError, rlock.release)
c = m.Condition()
def notify():
    with c: c.notify()
with c:
    t = threading.Thread(target=notify); t.start()
    assert c.wait(20)
t.join()
e = m.Event()
t = threading.Thread(target=e.set); t.start()
assert e.wait(20) and e.is_set(); t.join()
b = m.Barrier(2)
places = []
t = threading.Thread(target=lambda: places.append(b.wait())); t.start()
places.append(b.wait()); t.join()
assert sorted(places) == [0, 1] and b.parties == 2 and not b.broken
`);
  });

  test('keywords, as Python programs write them', async () => {
    await run(`
q = m.Queue(maxsize=1)
fails(queue.Empty, lambda: q.get(timeout=0.01))
fails(queue.Empty, lambda: q.get(block=False))
q.put(item=1, timeout=1)
fails(queue.Full, lambda: q.put(2, block=False))
fails(queue.Full, lambda: q.put(2, timeout=0.01))
assert q.full() and q.get(timeout=1) == 1
fails(TypeError, lambda: q.get(blocking=True))
fails(TypeError, lambda: q.get(True, block=True))
s = m.Semaphore(value=2)
assert s.acquire() and s.acquire() and not s.acquire(False)
b = m.BoundedSemaphore(value=1)
assert b.acquire() and not b.acquire(False)
fails(threading.BrokenBarrierError, m.Barrier(parties=2, timeout=0.01).wait)
c = m.Condition(lock=m.Lock())
assert c.acquire() and not c.wait(0.01)
v = m.Value(typecode='i', value=3)
assert v.value == 3
assert m.Array(typecode='i', sequence=[1, 2])[1] == 2
`);
  });

  test('registered classes, references, and processes', async () => {
    const before = await manager.numberOfObjects();
    await run(`
c = m.Counter(3)
assert c.add(4) == 7
twin = c.twin()
assert twin.add(1) == 8 and c.add(0) == 7
assert str(fails(RemoteError, c.unsendable)).count('unsendable') or True
assert c.echo([1, {'a': None}]) == [1, {'a': None}]
l = m.list()
def child(l): l.append('child')
p = mp.get_context('fork').Process(target=child, args=(l,)); p.start(); p.join()
assert str(l) == "['child']"
import re
assert re.match(r'^  [0-9a-f]+:       refcount=1\\n    ', m._debug_info()), m._debug_info()
count = m._number_of_objects()
del c, twin, l
assert m._number_of_objects() == count - 3, (count, m._number_of_objects())
`);
    expect(await manager.numberOfObjects()).toBe(before);
  });

  test('a dict and a queue, with this process at the other side', async () => {
    const dict = await manager.dict<string, unknown>();
    const queue = await manager.Queue<unknown>();
    await dict.setItem('queue', queue);
    const ran = run(`
m2 = BaseManager(address=sys.argv[1], authkey=b'abracadabra')
from multiprocessing.managers import DictProxy, Token
d = DictProxy(Token('dict', sys.argv[1], '${dict._token.id}'), 'pickle', authkey=b'abracadabra')
for i in range(3): d['queue'].put((i, 'from there'))
d['done'] = True
`);
    for (let i = 0; i < 3; i++)
      expect(Array.from((await queue.get()) as [])).toEqual([i, 'from there']);
    await ran;
    expect(await dict.getItem('done')).toBe(true);
  });
});

describe.each(pythons)('a manager of $label', (python) => {
  let running: Running;
  let manager: SyncManager;

  beforeAll(async () => {
    running = python.start(`${prelude}
if __name__ == '__main__':
    m = SyncManager(address=('127.0.0.1', 0), authkey=b'abracadabra', ctx=mp.get_context('fork'))
    m.start()
    print(m.address[1], flush=True)
    sys.stdin.read()
    print('objects left:', m._number_of_objects())
    m.shutdown()
`);
    const [port] = await once(running.child.stdout as NodeJS.ReadableStream, 'data');
    const address: [string, number] = ['127.0.0.1', Number(port)];
    manager = await new SyncManager({ serializer: 'pickle', authkey, address, digests }).connect();
    await keepConnections(manager);
  });
  afterAll(async () => {
    running.child.stdin?.end();
    const { stderr } = await running.outcome;
    expect(stderr).toBe('');
  });

  test('lists and dicts there', async () => {
    const dict = await manager.dict<string, unknown>({ a: 1 });
    const list = await manager.list<number>([1, 2]);
    await dict.setItem('list', list);
    const inner = (await dict.getItem('list')) as ListProxy<number>;
    await inner.append(3);
    expect(await list.getItem(new Slice(1, null))).toEqual([2, 3]);
    expect(String(list)).toBe('[1, 2, 3]');
    expect(await dict.keys()).toEqual(['a', 'list']);
    expect((await dict.copy()).get('a')).toBe(1);
    expect(await dict.get('nope')).toBeUndefined();
    await expect(dict.getItem('nope')).rejects.toThrow(KeyError);
    await expect(list.getItem(9)).rejects.toThrow(RangeError);
    await expect(dict._callmethod('nope')).rejects.toThrow(RemoteError);
    const keys: unknown[] = [];
    for await (const key of (await dict._callmethod('__iter__')) as AsyncIterable<string>)
      keys.push(key);
    expect(keys).toEqual(['a', 'list']);
    expect(dict.sync.a).toBe(1);
    const ns = await manager.Namespace<{ x?: number; y?: number }>({ x: 1 });
    ns.sync.y = 2;
    expect(String(ns)).toBe('Namespace(x=1, y=2)');
    await expect(ns.getAttr('nope' as 'x')).rejects.toThrow(AttributeError);
    const value = await manager.Value('i', 3);
    value.value += 1;
    expect(await value.get()).toBe(4);
    expect(await (await manager.Array('i', [5, 6])).getItem(1)).toBe(6);
  });

  test('what cannot be sent is no call, and the next ones have their own answers', async () => {
    const list = await manager.list<unknown>([1, 2]);
    await expect(list.append(() => 1)).rejects.toThrow(mp.PicklingError);
    expect(await list.len()).toBe(2);
    expect(() => list.appendSync(Symbol('x'))).toThrow(mp.PicklingError);
    expect(list.getItemSync(0)).toBe(1);
    await list.append(3);
    expect(await list.pop()).toBe(3);
  });

  test('what waits there holds up nothing', async () => {
    const queue = await manager.Queue<unknown>();
    const gets = [queue.get(), queue.get()];
    await queue.put([1, 'two', null]);
    queue.putSync(2);
    const got = await Promise.all(gets);
    expect(got).toContain(2);
    expect(got).toContainEqual([1, 'two', null]);
    await expect(queue.getNowait()).rejects.toThrow(Empty);
    const lock = await manager.Lock();
    await lock.acquire();
    const second = lock.acquire();
    await lock.release();
    expect(await second).toBe(true);
    expect(lock.acquireSync(false)).toBe(false);
    lock.releaseSync();
  });

  test('locks with an owner', async () => {
    const rlock = await manager.RLock();
    await rlock.acquire();
    rlock.acquireSync();
    await rlock.release();
    rlock.releaseSync();
    await expect(rlock.release()).rejects.toThrow(mp.RuntimeError);
    const condition = await manager.Condition();
    await condition.acquire();
    const waited = condition.wait();
    await condition.acquire();
    await condition.notify();
    await condition.release();
    expect(await waited).toBe(true);
    await condition.release();
    const event = await manager.Event();
    const wait = event.wait();
    await event.set();
    expect(await wait).toBe(true);
    const barrier = await manager.Barrier(2);
    expect((await Promise.all([barrier.wait(), barrier.wait()])).sort()).toEqual([0, 1]);
  });

  test('calls in a row, and another process', async () => {
    const list = await manager.list<number>();
    const dict = await manager.dict<string, number>();
    await Promise.all(Array.from({ length: 500 }, (_, i) => dict.setItem(`k${i}`, i)));
    expect(await dict.len()).toBe(500);
    const p = new mp.Process({ target: addTo, args: [list, dict, 7] });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
    expect(await list._getvalue()).toEqual([7]);
    expect(await dict.getItem('key7')).toBe(70);
  });

  test('a manager that has ended', async () => {
    const address = `${getTempDir()}/${scratch++}`;
    const other = python.start(
      `${prelude}
if __name__ == '__main__':
    m = SyncManager(authkey=b'abracadabra', address=sys.argv[1], ctx=mp.get_context('fork'))
    m.start()
    print('there', flush=True)
    sys.stdin.read()
    m._process.kill()
`,
      address,
    );
    await once(other.child.stdout as NodeJS.ReadableStream, 'data');
    const there = await new SyncManager({
      serializer: 'pickle',
      authkey,
      address,
      digests,
    }).connect();
    const queue = await there.Queue();
    const get = queue.get();
    await queue.qsize();
    other.child.stdin?.end();
    await expect(get).rejects.toThrow(`the manager at ${address} has ended`);
    await other.outcome;
    await expect(queue.get()).rejects.toThrow(address);
  });
});
