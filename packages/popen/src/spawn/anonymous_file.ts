/**
 * How the pickled process gets to the child: in a file without a name. Unlike a pipe it never fills, so
 * that a launch waits for nobody, however large the arguments are.
 */
import { openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempDir } from '@multiprocessing/core';
import { memfdCreate, orClose, writeAt } from '@multiprocessing/posix';

/** Bytes that are read in one call: Node takes no more than 2 GiB less one. */
const MOST = 0x40000000;

/** Makes such a file with these chunks in it, each behind its length, and returns its fd. */
export function writeAnonymousFile(chunks: readonly Uint8Array[]): number {
  const fd = process.platform === 'linux' ? memfdCreate('multiprocessing') : openUnlinked();
  return orClose(fd, () => {
    let position = 0;
    for (const chunk of chunks) {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(chunk.length));
      for (const bytes of [length, chunk]) {
        writeAt(fd, bytes, position); // the file's own position stays where its reader begins
        position += bytes.length;
      }
    }
    return fd;
  });
}

/** Reads the chunks one by one, and moves the file's position on: its writer can see that somebody reads. */
export function* readAnonymousFile(fd: number): Generator<Uint8Array<ArrayBuffer>> {
  const take = (size: number) => {
    const bytes = Buffer.allocUnsafeSlow(size);
    let done = 0;
    while (done < size) {
      const count = readSync(fd, bytes, done, Math.min(size - done, MOST), null);
      if (count === 0) return bytes.subarray(0, done);
      done += count;
    }
    return bytes;
  };
  for (;;) {
    const length = take(8);
    if (length.length < 8) return;
    yield take(Number(length.readBigUInt64LE()));
  }
}

function openUnlinked(): number {
  const folder = makeTempDir('pymp-');
  try {
    return openSync(join(folder, 'data'), 'w+', 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
