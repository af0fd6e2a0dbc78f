/**
 * os.waitpid: taking ended children out, one by one, without waiting for them.
 *
 *     npx tsx examples/os_waitpid.ts
 *
 * waitpid(-1, WNOHANG) hands out one child that has ended. It answers (0, 0) while children are left
 * and none of them has ended, and throws a ChildProcessError (ECHILD) once there is no child left.
 */
import 'multiprocessing/forkable';
import { ChildProcessError } from 'multiprocessing';
import { _exit, fork, WNOHANG, waitpid } from 'multiprocessing/os';

/** Sleeps in the kernel, as Python's time.sleep does. @param seconds how long */
function sleep(seconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

function show([pid, status]: [number, number]): void {
  console.log(`(${pid}, ${status})`);
}

for (let i = 0; i < 2; i++) {
  if (fork() === 0) {
    // In the child.
    sleep(0.5);
    _exit(0);
  }
}

show(waitpid(-1, WNOHANG)); // both run
sleep(0.1);
show(waitpid(-1, WNOHANG)); // still
sleep(1.5);
show(waitpid(-1, WNOHANG)); // one of them
show(waitpid(-1, WNOHANG)); // the other one
try {
  show(waitpid(-1, WNOHANG));
} catch (error) {
  if (!(error instanceof ChildProcessError)) throw error;
  console.log(`${error.name}: [Errno ${error.errno}] No child processes`);
}
