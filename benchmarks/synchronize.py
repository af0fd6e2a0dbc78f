"""The twin of benchmarks/programs/synchronize.ts: measures CPython's locks and events, on request.

A line of words on stdin is answered by a line of numbers on stdout:

    pair KIND COUNT       nanoseconds for an acquire and a release that nobody contends
    add HOW COUNT         additions a second of two processes to one number, COUNT each
    pingpong COUNT        microseconds from one process to another and back, by two events
"""

import multiprocessing as mp
import sys
import time

ctx = mp.get_context('fork')


def pair(kind, count):
    lock = getattr(ctx, kind)()
    begin = time.perf_counter()
    for _ in range(count):
        lock.acquire()
        lock.release()
    return (time.perf_counter() - begin) * 1e9 / count


def add_to_value(value, gate, count):
    gate.wait()
    for _ in range(count):
        with value.get_lock():
            value.value += 1


def add_to_cell(cells, lock, gate, count):
    gate.wait()
    for _ in range(count):
        with lock:
            cells[0] += 1


def add(how, count):
    gate = ctx.Barrier(3)
    value = ctx.Value('i', 0)
    cells = ctx.RawArray('i', 1)
    if how == 'Value':
        target, args = add_to_value, (value, gate, count)
    else:
        target, args = add_to_cell, (cells, ctx.Lock(), gate, count)
    children = [ctx.Process(target=target, args=args) for _ in range(2)]
    for child in children:
        child.start()
    gate.wait()
    begin = time.perf_counter()
    for child in children:
        child.join()
    seconds = time.perf_counter() - begin
    assert (value.value if how == 'Value' else cells[0]) == 2 * count
    return 2 * count / seconds


def pong(there, back, count):
    for _ in range(count):
        there.wait()
        there.clear()
        back.set()


def pingpong(count):
    there, back = ctx.Event(), ctx.Event()
    child = ctx.Process(target=pong, args=(there, back, count + 1))
    child.start()
    there.set()
    back.wait()
    back.clear()
    begin = time.perf_counter()
    for _ in range(count):
        there.set()
        back.wait()
        back.clear()
    seconds = time.perf_counter() - begin
    child.join()
    return seconds * 1e6 / count


if __name__ == '__main__':
    for line in sys.stdin:
        what, *words = line.rstrip('\n').split('\t')
        count = int(words[-1])
        if what == 'pair':
            answer = pair(words[0], count)
        elif what == 'add':
            answer = add(words[0], count)
        else:
            answer = pingpong(count)
        print(answer, flush=True)
