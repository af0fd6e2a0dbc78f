/** What a user writes in a CommonJS module. */
import mp = require('multiprocessing');
import queues = require('multiprocessing/queues');

export function queue(): queues.Queue<string> {
  return mp.Queue<string>();
}

export const lock = mp.Lock();
