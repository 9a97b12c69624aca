/** What a person who builds a site can put right: printed as a sentence, without a stack. */
export class SiteError extends Error {
  override name = 'SiteError'
}

/** Every source that cannot be used, told at once: nobody wants to find them one build at a time. */
export class SourceErrors extends SiteError {
  constructor(readonly failures: ReadonlyArray<{ source: string; reason: string }>) {
    const lines = failures.map(({ source, reason }) => `${source}: ${reason}`)
    super(
      `nothing was written, for ${lines.length === 1 ? 'a source' : 'some sources'} cannot be used\n${lines.join('\n')}`,
    )
  }
}
