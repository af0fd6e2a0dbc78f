/**
 * os.pipe, 2: one child writes, another one reads.
 *
 *     npx tsx examples/os_pipe_siblings.ts
 *
 * The Python program in the source notes closes the wrong ends: its writer closes the write end and writes to
 * the read end, its reader the other way round, and both fail with EBADF ("Bad file descriptor"). Here the
 * writer keeps the write end, and the reader the read end.
 */
import 'multiprocessing/forkable';
import { _exit, close, fork, pipe, read, waitpid, write } from 'multiprocessing/os';

const [readEnd, writeEnd] = pipe();

function childWrite(): void {
  close(readEnd); // not needed here
  write(writeEnd, 'Hello from child!');
  close(writeEnd);
}

function childRead(): void {
  close(writeEnd); // not needed here
  const received = read(readEnd, 1024);
  close(readEnd);
  console.log('Received:', new TextDecoder().decode(received));
}

const writer = fork();
if (writer === 0) {
  childWrite();
  _exit(0);
}

const reader = fork();
if (reader === 0) {
  childRead();
  _exit(0);
}

// The parent has no use for the pipe. It waits, so that its end is the end of all.
close(readEnd);
close(writeEnd);
waitpid(writer, 0);
waitpid(reader, 0);
