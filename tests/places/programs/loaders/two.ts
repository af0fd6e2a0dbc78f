export enum Kind {
  A,
  B,
}

export function two(kind: Kind): void {
  console.log('two', Kind[kind]);
}
