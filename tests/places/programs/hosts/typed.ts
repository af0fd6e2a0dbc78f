export enum Kind {
  other,
  own,
}

export function help(): void {
  console.log('helper');
}
