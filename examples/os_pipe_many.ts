/**
 * os.pipe, 3: several children, each with a pipe of its own.
 *
 *     npx tsx examples/os_pipe_many.ts
 *
 * The parent keeps all ends open until the end, so each pipe gets new numbers. A child inherits the
 * pipes of its elder siblings too.
 */
import 'multiprocessing/forkable';
import { _exit, close, fork, pipe, read, write } from 'multiprocessing/os';

const ends: number[] = [];

for (let i = 0; i < 3; i++) {
  const [readEnd, writeEnd] = pipe();
  ends.push(readEnd, writeEnd);
  if (fork() === 0) {
    // In the child.
    console.log(`Child End, read_end: ${readEnd}, write_end: ${writeEnd}`);
    close(readEnd);
    write(writeEnd, `Hello, pipe write_end: ${writeEnd}!`);
    close(writeEnd);
    _exit(0);
  } else {
    // In the parent.
    console.log(`Parent End, read_end: ${readEnd}, write_end: ${writeEnd}`);
    const received = read(readEnd, 1024);
    console.log('Received:', new TextDecoder().decode(received));
  }
}

for (const end of ends) close(end);
