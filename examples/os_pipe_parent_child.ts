/**
 * os.pipe, 1: a child writes, its parent reads.
 *
 *     npx tsx examples/os_pipe_parent_child.ts
 *
 * After fork() both processes hold both ends. Closing one in the child does not close it in the parent.
 * The numbers are larger than Python's 3 and 4: Node has files of its own open.
 */
import 'multiprocessing/forkable';
import { _exit, close, fork, pipe, read, write } from 'multiprocessing/os';

const [readEnd, writeEnd] = pipe(); // two file descriptors

if (fork() === 0) {
  // In the child: close the end that it does not need, and write.
  console.log(`Child End, read_end: ${readEnd}, write_end: ${writeEnd}`);
  close(readEnd);
  write(writeEnd, 'Hello, pipe!');
  close(writeEnd);
  _exit(0);
} else {
  // In the parent: close the end that it does not need, and read.
  console.log(`Parent End, read_end: ${readEnd}, write_end: ${writeEnd}`);
  close(writeEnd);
  const received = read(readEnd, 1024);
  close(readEnd);
  console.log('Received:', new TextDecoder().decode(received));
}
