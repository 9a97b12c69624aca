const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Calls code of the user's without our handlers of signals, which it may never let run: until it has settled, a signal ends the process as if it
 * had none. A file under a lock stays as it is then, and the next call takes the lock over.
 */
export async function endable<T>(call: () => T | PromiseLike<T>): Promise<T> {
  const handlers = names.map((name) => process.listeners(name))
  for (const name of names) process.removeAllListeners(name)
  try {
    return await call()
  } finally {
    for (const [at, name] of names.entries()) for (const one of handlers[at] ?? []) process.on(name, one)
  }
}
