"""The twin of benchmarks/programs/managers.ts: measures CPython's managers, on request.

A line of words on stdin is answered by a number on stdout:

    get COUNT           microseconds of a dict.get()
    clients COUNT       calls of dict.get() a second, of 8 processes that make COUNT each
    queue COUNT         microseconds of a put() and a get()
    start COUNT         milliseconds from Manager() to its first answer
"""

import multiprocessing as mp
import sys
import time

ctx = mp.get_context('fork')


def get(count):
    with ctx.Manager() as manager:
        d = manager.dict(a=1)
        for _ in range(count // 5):
            d.get('a')
        begin = time.perf_counter()
        for _ in range(count):
            d.get('a')
        return (time.perf_counter() - begin) * 1e6 / count


def call(d, barrier, count):
    d.get('a')
    barrier.wait()
    for _ in range(count):
        d.get('a')
    barrier.wait()


def clients(count):
    with ctx.Manager() as manager:
        d = manager.dict(a=1)
        barrier = ctx.Barrier(9)
        children = [ctx.Process(target=call, args=(d, barrier, count)) for _ in range(8)]
        for child in children:
            child.start()
        barrier.wait()
        begin = time.perf_counter()
        barrier.wait()
        seconds = time.perf_counter() - begin
        for child in children:
            child.join()
        return 8 * count / seconds


def queue(count):
    with ctx.Manager() as manager:
        q = manager.Queue()
        for _ in range(count // 5):
            q.put(1)
            q.get()
        begin = time.perf_counter()
        for _ in range(count):
            q.put(1)
            q.get()
        return (time.perf_counter() - begin) * 1e6 / count


def start(count):
    begin = time.perf_counter()
    for _ in range(count):
        with mp.get_context('forkserver').Manager() as manager:
            manager.dict().get('a')
    return (time.perf_counter() - begin) * 1e3 / count


if __name__ == '__main__':
    for line in sys.stdin:
        what, *words = line.rstrip('\n').split('\t')
        measure = {'get': get, 'clients': clients, 'queue': queue, 'start': start}[what]
        print(measure(*map(int, words)), flush=True)
