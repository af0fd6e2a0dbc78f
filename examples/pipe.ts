/**
 * Pipes: an object from a child, as in CPython's documentation, then questions and answers over both directions of one.
 * The children wait in the kernel, the parent in its event loop. Each side learns that the other has closed its end.
 *
 *     npx tsx examples/pipe.ts
 */
import * as mp from 'multiprocessing';
import type { Connection } from 'multiprocessing/connection';

export function greet(connection: Connection): void {
  connection.sendSync([42, null, 'hello']);
  connection.close();
}

export function answer(connection: Connection): void {
  try {
    for (;;) {
      const [a, b] = connection.recvSync() as [number, number];
      connection.sendSync({ sum: a + b, product: a * b });
    }
  } catch (error) {
    if (!(error instanceof mp.EOFError)) throw error;
    console.log('child: no more questions');
  }
}

if (mp.isMain(import.meta)) {
  const [fromChild, childsEnd] = mp.Pipe();
  const greeter = new mp.Process({ target: greet, args: [childsEnd] });
  await greeter.start();
  childsEnd.close(); // the child has its own; as long as this one is open there is no end of file
  console.log(await fromChild.recv());
  await fromChild.recv().catch((error) => console.log('parent:', error.name));
  await greeter.join();

  const [questions, answers] = mp.Pipe();
  const answerer = new mp.Process({ target: answer, args: [answers] });
  await answerer.start();
  answers.close();
  await questions.send([6, 7]);
  console.log(await questions.recv());
  // Sent together; the answers come in the order of the questions.
  const sums = [1, 2, 3].map(async (n) => {
    await questions.send([n, n]);
    return questions.recv();
  });
  console.log(await Promise.all(sums));
  questions.close();
  await answerer.join();
}
