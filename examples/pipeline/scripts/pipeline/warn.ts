/** Emits a process warning for statistics that could not be written, once for each message. */

const said = new Set<string>()

export function warn(what: string, error: unknown): void {
  const message = `${what}: ${error instanceof Error ? error.message : String(error)}`
  if (said.has(message)) return
  said.add(message)
  process.emitWarning(message, { code: 'PIPELINE_STATISTICS' })
}
