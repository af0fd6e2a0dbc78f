import { basename } from 'node:path';

export function double(writer, x) {
  writer.send([basename('/a/b'), x * 2]);
  writer.close();
}
