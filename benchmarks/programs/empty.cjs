// What child_process.fork() is measured with.
