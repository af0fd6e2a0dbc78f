"""The twin of benchmarks/pool/measure.mjs: measures CPython's Pool and ProcessPoolExecutor, on request.

    python3 pool.py pool|executor

A line of words on stdin is answered by a number on stdout; which lines there are is said there.
"""

import array
import concurrent.futures
import multiprocessing as mp
import os
import resource
import sys
import time

WORKERS = len(os.sched_getaffinity(0))
WARM = 3  # as in measure.mjs
ctx = mp.get_context('forkserver')


def square(x):
    return x * x


def last(values):
    return values[-1]


kept = array.array('d')


def array_of(length):
    global kept
    if len(kept) != length:
        kept = array.array('d', [1.5]) * length
    return kept


def spin(rounds):
    x = 1
    for _ in range(rounds):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
    return x


def pause(milliseconds):
    time.sleep(milliseconds / 1000)


class Pool:
    def __init__(self, workers):
        self.pool = ctx.Pool(workers)

    def run(self, function, argument):
        return self.pool.apply(function, (argument,))

    def start(self, function, argument):
        result = self.pool.apply_async(function, (argument,))
        return result.get

    def map(self, items, chunksize=None):
        return self.pool.map(square, items, chunksize)

    def imap_unordered(self, items):
        return self.pool.imap_unordered(square, items)

    def end(self):
        self.pool.terminate()
        self.pool.join()


class Executor:
    def __init__(self, workers):
        self.pool = concurrent.futures.ProcessPoolExecutor(workers, ctx)

    def run(self, function, argument):
        return self.pool.submit(function, argument).result()

    def start(self, function, argument):
        return self.pool.submit(function, argument).result

    def map(self, items, chunksize=None):
        return list(self.pool.map(square, items, chunksize=chunksize or 1))

    def end(self):
        self.pool.shutdown()


def all_there(pool, workers, milliseconds=50):
    for result in [pool.start(pause, milliseconds) for _ in range(workers)]:
        result()


def rate(pool, count, chunksize):
    all_there(pool, WORKERS)
    for _ in range(WARM):
        pool.map(range(count), chunksize)
    begin = time.perf_counter()
    results = pool.map(range(count), chunksize)
    seconds = time.perf_counter() - begin
    assert results[-1] == (count - 1) ** 2
    return count / seconds


def each(pool, count, function, argument):
    all_there(pool, WORKERS)
    for _ in range(count):
        pool.run(function, argument)
    begin = time.perf_counter()
    for _ in range(count):
        pool.run(function, argument)
    return (time.perf_counter() - begin) * 1000 / count


def cpu(pool, workers, count):
    all_there(pool, workers)
    begin = time.perf_counter()
    for result in [pool.start(spin, count) for _ in range(8)]:
        result()
    return (time.perf_counter() - begin) * 1000


def stream(pool, count):
    all_there(pool, WORKERS)
    with open('/proc/self/status') as status:
        before = next(int(line.split()[1]) for line in status if line.startswith('VmRSS'))
    assert sum(pool.imap_unordered(range(count))) == sum(i * i for i in range(count))
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def family(pid):
    for thread in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{thread}/children') as children:
            for child in children.read().split():
                yield from family(int(child))
    yield pid


def megabytes():
    size = 0
    for pid in family(os.getpid()):
        with open(f'/proc/{pid}/smaps_rollup') as rollup:
            size += next(int(line.split()[1]) for line in rollup if line.startswith('Pss:'))
    return size / 1024


def idle(make, workers):
    before = megabytes()
    pool = make(workers)
    all_there(pool, workers, 200)
    time.sleep(0.5)
    more = megabytes() - before
    pool.end()
    return more


def first(make):
    begin = time.perf_counter()
    pool = make(WORKERS)
    assert pool.run(square, 7) == 49
    seconds = time.perf_counter() - begin
    pool.end()
    return seconds * 1000


def answer(make, what, words):
    if what == 'first':
        return first(make)
    if what == 'idle':
        return idle(make, *words)
    pool = make(words[0] if what == 'cpu' else WORKERS)
    try:
        if what == 'many':
            return rate(pool, words[0], 1)
        if what == 'chunks':
            return rate(pool, words[0], None)
        if what == 'trip':
            return each(pool, words[0], square, 7) * 1000
        if what == 'argument':
            return each(pool, words[1], last, array.array('d', [1.5]) * words[0])
        if what == 'result':
            return each(pool, words[1], array_of, words[0])
        if what == 'cpu':
            return cpu(pool, *words)
        if what == 'stream':
            return stream(pool, words[0])
        raise ValueError(f'what is {what}?')
    finally:
        pool.end()


if __name__ == '__main__':
    made = {'pool': Pool, 'executor': Executor}[sys.argv[1]]
    for line in sys.stdin:
        asked, *rest = line.rstrip('\n').split('\t')
        print(answer(made, asked, [int(word) for word in rest]), flush=True)
