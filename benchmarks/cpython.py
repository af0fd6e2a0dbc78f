"""The twin of benchmarks/programs/measure.ts: measures CPython's starts of children, on request.

A line of words on stdin is answered by a line of numbers on stdout:

    measure METHOD ROUNDS    milliseconds from start to exit of an empty child, one by one
    hundred METHOD COUNT     milliseconds until all have been started, all run at once, all have been joined

Children import this file again, so it imports no more than it has to.
"""

import multiprocessing as mp
import sys
import time


def empty():
    pass


def idle(ready, gate):
    with open(ready, 'ab', 0) as file:
        file.write(b'x')
    with open(gate, 'rb', 0) as file:
        file.read(1)


def measure(method, count):
    Process = mp.get_context(method).Process
    times = []
    for _ in range(count):
        start = time.perf_counter()
        p = Process(target=empty)
        p.start()
        p.join()
        times.append((time.perf_counter() - start) * 1000)
    return times


def hundred(method, count):
    import os
    import tempfile

    Process = mp.get_context(method).Process
    with tempfile.TemporaryDirectory() as folder:
        ready, gate = os.path.join(folder, 'ready'), os.path.join(folder, 'gate')
        os.mkfifo(ready)
        os.mkfifo(gate)
        with open(ready, 'r+b', 0) as ready_file, open(gate, 'r+b', 0) as gate_file:
            begin = time.perf_counter()
            children = [Process(target=idle, args=(ready, gate)) for _ in range(count)]
            for p in children:
                p.start()
            started = time.perf_counter() - begin
            done = 0
            while done < count:
                done += len(ready_file.read(count - done))
            running = time.perf_counter() - begin
            gate_file.write(bytes(count))
            for p in children:
                p.join()
            joined = time.perf_counter() - begin
    return [started * 1000, running * 1000, joined * 1000]


def main():
    for line in sys.stdin:
        request, method, count = line.rstrip('\n').split('\t')
        numbers = (measure if request == 'measure' else hundred)(method, int(count))
        print(*numbers, flush=True)


if __name__ == '__main__':
    main()
