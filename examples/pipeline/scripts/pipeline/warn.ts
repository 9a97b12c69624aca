/** For statistics that could not be kept: said once a message, on stderr, without failing what they are about. */

const said = new Set<string>()

export function warn(what: string, error: unknown): void {
  const message = `${what}: ${error instanceof Error ? error.message : String(error)}`
  if (said.has(message)) return
  said.add(message)
  process.emitWarning(message, { code: 'PIPELINE_STATISTICS' })
}
