"""The twin of benchmarks/programs/queues.ts: measures CPython's queues and connections, on request.

A line of words on stdin is answered by a number on stdout:

    queue COUNT             messages a second through a Queue, as they arrive
    trip COUNT              microseconds from one process to another and back, through a Pipe
    bytes SIZE COUNT        bytes a second through a Pipe, in messages of SIZE bytes
"""

import multiprocessing as mp
import sys
import time

ctx = mp.get_context('fork')


def produce(queue, count):
    for i in range(count):
        queue.put({'i': i, 's': 'hello'})


def queue(count):
    q = ctx.Queue()
    child = ctx.Process(target=produce, args=(q, count))
    child.start()
    for i in range(count // 5):
        q.get()
    begin = time.perf_counter()
    for i in range(count * 4 // 5):
        item = q.get()
    seconds = time.perf_counter() - begin
    assert item['i'] == count - 1
    child.join()
    q.close()
    return count * 4 / 5 / seconds


def echo(conn, count):
    for _ in range(count):
        conn.send(conn.recv())


def trip(count):
    here, there = ctx.Pipe()
    child = ctx.Process(target=echo, args=(there, count))
    child.start()
    item = {'i': 0, 's': 'hello'}
    for _ in range(count // 5):
        here.send(item)
        here.recv()
    begin = time.perf_counter()
    for _ in range(count * 4 // 5):
        here.send(item)
        here.recv()
    seconds = time.perf_counter() - begin
    child.join()
    here.close()
    there.close()
    return seconds * 1e6 / (count * 4 / 5)


def pour(conn, size, count):
    data = bytes(size)
    for _ in range(count):
        conn.send_bytes(data)


def pour_bytes(size, count):
    here, there = ctx.Pipe()
    child = ctx.Process(target=pour, args=(there, size, count))
    child.start()
    here.recv_bytes()
    begin = time.perf_counter()
    for _ in range(1, count):
        assert len(here.recv_bytes()) == size
    seconds = time.perf_counter() - begin
    child.join()
    here.close()
    there.close()
    return size * (count - 1) / seconds


if __name__ == '__main__':
    for line in sys.stdin:
        what, *words = line.rstrip('\n').split('\t')
        measure = {'queue': queue, 'trip': trip, 'bytes': pour_bytes}[what]
        print(measure(*map(int, words)), flush=True)
