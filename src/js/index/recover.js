// Recovers an index under its lock. Compiled by the addon, as a script.

;(() => {
  /**
   * What happens in between, and who is told what: the steps are the addon's.
   *
   * - `look()` opens the index, which stays open until `leave()` or `mend()`: `{ value, isThere, corrupt }`.
   * - `check(value, suffix)` passes on a value that is as it is to be, or what `migrate` makes of it.
   * - `read(suffix)` reads the file whose name ends in that as well; `nameOf(suffix)` is what the caller would call it.
   * - `rebuild(corrupt)`, if there is one, and `initial()` make an index, and check it.
   * - `missing()` makes the error of an index that is not there, and `goOn()` throws if the call was aborted.
   * - `mend({ suffix, value }, stamp)` replaces the open index by that file, or by the value, and sets it aside:
   *   `{ setAside }`, or `undefined` if another program has changed it.
   */
  async function recover({ newestBackup, isBroken }, steps) {
    const { look, check, read, nameOf, rebuild, initial, missing, goOn, mend, leave } = steps

    /** The backup, and `migrated`: its value is not what its file says. */
    const attempt = async (suffix) => {
      const found = await read(suffix)
      const value = await check(found.value, suffix)
      return Object.assign(found, { value, migrated: value !== found.value })
    }

    async function replacement(corrupt) {
      const { found, suffix } = (await newestBackup(attempt, goOn)) ?? {}
      if (found) {
        const { value, migrated } = found
        return { action: 'restored', source: nameOf(suffix), value, suffix: migrated ? undefined : suffix }
      }
      if (rebuild) return { action: 'rebuilt', value: await rebuild(corrupt) }
      const value = await initial()
      if (value === undefined) throw corrupt ?? missing()
      return { action: 'initialized', value }
    }

    for (;;) {
      try {
        let { value, isThere, corrupt } = await look()
        if (isThere && corrupt === undefined) {
          try {
            return { action: 'none', value: await check(value, '') }
          } catch (error) {
            corrupt = error
          }
        }
        if (corrupt !== undefined && !isBroken(corrupt)) throw corrupt
        const { action, source, suffix, ...made } = await replacement(corrupt)
        const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
        const mended = await mend({ suffix, value: made.value }, stamp)
        if (mended) return { action, source, setAside: mended.setAside, corrupt, value: made.value }
      } finally {
        await leave()
      }
    }
  }

  return { recover }
})()
