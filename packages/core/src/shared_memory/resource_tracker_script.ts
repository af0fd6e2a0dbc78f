/**
 * The program of the resource tracker: `main` of multiprocessing/resource_tracker.py, for the POSIX shell. A shell is
 * there before a Node would have begun to start, and has a fiftieth of its memory. Deviations: D-120.
 */

/**
 * Reads `COMMAND:name:type:inode` lines from fd 3; the inode may be missing. What is registered is a variable each,
 * held_INODE (held_xN without an inode), with the value `type:name`: no shell has to search then. `set` lists them.
 *
 * It cleans up when nobody has the other end of fd 3 any more, or when END says that they are about to be killed.
 *
 * A file is removed only while it has the inode that was registered: never somebody else's of the same name.
 * @internal
 */
export const trackerScript = `# multiprocessing: resource tracker
trap '' HUP INT QUIT TERM PIPE TTOU
exec <&3 3<&- >/dev/null
cd /
set -f
newline='
'
IFS=$newline
unknown=0
status=0

held() {
  for line in $(set); do
    case $line in held_[0-9x]*=*) printf '%s\\n' "\${line%%=*}" ;; esac
  done
}

while IFS=: read -r command name type inode; do
  case $inode in *[!0-9]*) command=bad ;; esac
  case $type:\${name#/} in noop:*) ;; */*) command=bad ;; esac
  case $command in
    PROBE) ;;
    END) break ;;
    REGISTER)
      [ -n "$inode" ] || inode=x$((unknown += 1))
      eval "held_$inode=\\$type:\\$name"
      ;;
    UNREGISTER)
      for variable in \${inode:-$(held)}; do
        variable=held_\${variable#held_}
        eval "value=\\\${$variable-}"
        [ "$value" != "$type:$name" ] || unset "$variable"
      done
      ;;
    *)
      printf 'resource_tracker: unrecognized command %s:%s:%s\\n' "$command" "$name" "$type" >&2
      status=3
      ;;
  esac
done

clean() {
  kind=$1 folder=$2 count=0 names=
  for variable in $left; do
    eval "value=\\$$variable"
    name=\${value#*:}
    [ "$value" = "$kind:$name" ] || continue
    if [ -n "$folder" ]; then
      file=$folder$name inode=\${variable#held_}
      [ -f "$file" ] || continue
      case $inode in
        x*) ;;
        *)
          found=$(ls -i -- "$file" 2>/dev/null) || continue
          found=\${found#"\${found%%[0-9]*}"}
          [ "\${found%% *}" = "$inode" ] || continue
          ;;
      esac
      rm -f -- "$file"
    fi
    count=$((count + 1)) names="$names\${names:+, }$name"
  done
  [ "$count" -gt 0 ] || return 0
  [ "$status" -gt 0 ] || status=1
  printf 'resource_tracker: There appear to be %s leaked %s objects to clean up at shutdown: %s\\n' \\
    "$count" "$kind" "$names" >&2
}

left=$(held)
clean noop ''
clean semaphore /dev/shm/sem.
clean shared_memory /dev/shm/
exit "$status"
`;
