export function help() {
  console.log('helper');
}
