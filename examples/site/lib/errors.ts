/** An error that the user can fix. Its message is printed without a stack trace. */
export class SiteError extends Error {
  override name = 'SiteError'
}

/** All sources that cannot be used, reported together so that they can be fixed before the next build. */
export class SourceErrors extends SiteError {
  constructor(readonly failures: ReadonlyArray<{ source: string; reason: string }>) {
    const lines = failures.map(({ source, reason }) => `${source}: ${reason}`)
    super(
      `nothing was written, because ${lines.length === 1 ? 'a source' : 'some sources'} cannot be used\n${lines.join('\n')}`,
    )
  }
}

/** As the addon's and Node's own. */
export function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason })
  return Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' })
}
